"""Runs Valkey in the data folder, on a unix socket."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import structlog

from infrastructure.embedded.binaries import find_valkey, server_environment
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.supervision.launch import Leash
from infrastructure.supervision.processes import ChildProcess, Command, StartFailed, until

LOG = structlog.get_logger()


class EmbeddedValkey:
    """A Valkey whose socket is in ``run_folder``; ``settings`` come on top of ours.

    Raises ServerMissing.
    """

    def __init__(
        self,
        folder: DataFolder,
        run_folder: Path,
        *,
        leash: Leash,
        settings: Mapping[str, str],
        ready_within: float,
    ) -> None:
        self._program = find_valkey()
        self._configuration = folder.folder("valkey") / "valkey.conf"
        self._data = folder.folder("valkey") / "data"
        self._aside = folder.folder("valkey") / "unreadable"
        self._log = folder.folder("log") / "valkey.log"
        self._socket = run_folder / "valkey.sock"
        self._lock = folder.lock
        self._leash = leash
        self._ready_within = ready_within
        self._password = folder.secret("valkey")
        self._settings = settings
        self.url = f"unix://:{self._password}@{quote(str(self._socket))}?db=0"

    async def start(self) -> ChildProcess:
        """Start it and return once it serves. Raises StartFailed.

        Data that stands in the way is put aside: what Redis holds may be lost, but after a power
        cut, which can leave a file that Valkey refuses to load, the house must come up by itself.
        """
        try:
            return await self._start()
        except StartFailed:
            if not any(self._data.iterdir()):
                raise
        shutil.rmtree(self._aside, ignore_errors=True)
        self._data.rename(self._aside)
        try:
            child = await self._start()
        except BaseException:  # then it was not the data
            shutil.rmtree(self._data, ignore_errors=True)
            self._aside.rename(self._data)
            raise
        LOG.error("unreadable data put aside", child=child.name, folder=str(self._aside))
        return child

    async def _start(self) -> ChildProcess:
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._write_configuration()
        child = await ChildProcess.spawn(
            Command(
                name="valkey",
                argv=(self._program, str(self._configuration)),
                leash=self._leash,
                env=server_environment(),
                pass_fds=(self._lock,),
                folder=self._data,
                log=self._log,
            )
        )
        await child.ready(until(self._serves), within=self._ready_within)
        return child

    def _write_configuration(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "requirepass": self._password,
            "dir": str(self._data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "always-show-logo": "no",
            **self._settings,
        }
        lines = "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(lines)

    async def _serves(self) -> bool:
        # Not with redis-py: its import takes 0.3 s, more than all the rest of this start.
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:  # no socket yet
            return False
        try:
            writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
            answers = [await reader.readline() for _ in range(2)]
        except OSError:
            return False
        finally:
            writer.close()
        return answers == [b"+OK\r\n", b"+PONG\r\n"]  # while it loads its data: -LOADING


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
