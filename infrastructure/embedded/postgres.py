"""Runs PostgreSQL in the data folder, on a unix socket."""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from infrastructure.embedded.binaries import find_postgres, server_environment
from infrastructure.embedded.data_folder import DataFolder, sync_folder
from infrastructure.embedded.errors import UnsuitableVersion
from infrastructure.embedded.identity import Installation, settle
from infrastructure.supervision.launch import Identity, Leash
from infrastructure.supervision.processes import ChildProcess, Command, StartFailed, run, until

NAME = "medianest"
"""Of the superuser and of the database."""

INITDB_LIMIT = 600.0
"""Seconds; half a second on an SSD, minutes on a tired SD card."""

BUILTIN_LOCALES = 17
"""Since this version text sorts alike on every system: the C library has no say in it."""

SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    # Small queries on one or two cores gain nothing from either, and parallel workers need more
    # shared memory than the 64 MB a container has.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log of an idle house stays as it is; failures are still written.
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "cluster_name": NAME,
}
"""Ours, where PostgreSQL's own are not meant for a home. Durability is left as it is: on."""


class EmbeddedPostgres:
    """A PostgreSQL whose socket is in ``run_folder``; ``settings`` come on top of ours.

    Raises ServerMissing.
    """

    def __init__(
        self,
        folder: DataFolder,
        run_folder: Path,
        *,
        leash: Leash,
        candidates: Sequence[Identity],
        settings: Mapping[str, str],
        ready_within: float,
    ) -> None:
        self._programs = find_postgres()
        self._folder = folder
        self._run_folder = run_folder
        self._home = folder.folder("postgres")
        self._cluster = self._home / "data"
        self._log = folder.folder("log") / "postgresql.log"
        self._leash = leash
        self._candidates = candidates
        self._settings = {**SETTINGS, **settings}
        self._ready_within = ready_within
        self._password = folder.secret("postgres")
        self._installation: Installation | None = None
        self.url = self._url_of(NAME)

    async def start(self) -> ChildProcess:
        """Start it, having made its cluster if there is none, and return once it serves.

        Raises RootRefused, UnsuitableVersion or StartFailed.
        """
        if self._installation is None:
            self._installation = await self._prepare()
        child = await ChildProcess.spawn(self._server(self._installation))
        await child.ready(self._serves(), within=self._ready_within)
        return child

    async def _prepare(self) -> Installation:
        installation = await settle(
            self._programs,
            self._folder,
            self._run_folder,
            leash=self._leash,
            candidates=self._candidates,
        )
        if not self._cluster.exists():
            await self._make_cluster(installation)
        self._check_version(installation.major)
        # We hold the folder's lock, so a server that left this has ended; its pid may be another's.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        lines = (f"{name} = {_quoted(value)}\n" for name, value in self._settings.items())
        self._write(self._cluster / "medianest.conf", "".join(lines), installation)
        return installation

    async def _make_cluster(self, installation: Installation) -> None:
        """Run initdb, under another name, so that what stands under the right one is whole."""
        unfinished = self._home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self._home / "password"
        self._write(password, self._password, installation)
        try:
            made = await run(self._initdb(installation, unfinished, password), within=INITDB_LIMIT)
        finally:
            password.unlink()
        if made.status:
            raise StartFailed(f"PostgreSQL cannot make its data folder: {made.words}")
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write(
                "\n# Rewritten at every start; your own changes: ALTER SYSTEM SET …\n"
                "include_if_exists = 'medianest.conf'\n"
            )
            configuration.flush()
            os.fsync(configuration.fileno())
        unfinished.rename(self._cluster)
        sync_folder(self._home)

    def _check_version(self, major: int) -> None:
        try:
            made_by = (self._cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            made_by = "(unknown)"
        if made_by != str(major):
            raise UnsuitableVersion(
                f"{self._cluster} was made by PostgreSQL {made_by}, and this is {major}: back it "
                "up with the MediaNest that made it, and restore that into a new folder"
            )

    async def _serves(self) -> None:
        import psycopg  # noqa: PLC0415  # takes 0.2 s, which the server needs to start anyway

        question = f"{self._url_of('postgres')}&connect_timeout=2".encode()

        async def listens() -> bool:
            answer = await asyncio.to_thread(psycopg.pq.PGconn.ping, question)
            return answer == psycopg.pq.Ping.OK  # while it recovers: REJECT

        await until(listens)
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url_of("postgres"), autocommit=True
            ) as connection:
                known = await connection.execute(
                    "SELECT FROM pg_database WHERE datname = %s", (NAME,)
                )
                if not known.rowcount:
                    await connection.execute(f"CREATE DATABASE {NAME}")
        except psycopg.Error as problem:
            raise StartFailed(f"PostgreSQL runs but does not serve: {problem}") from problem

    def _server(self, installation: Installation) -> Command:
        # What others rely on is on the command line, where no file can change it.
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._run_folder),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "log_destination": "stderr",
            "logging_collector": "off",
        }
        options = (word for item in fixed.items() for word in ("-c", "=".join(item)))
        return self._command(
            "postgres",
            (installation.programs.postgres, "-D", str(self._cluster), *options),
            installation,
        )

    def _initdb(self, installation: Installation, cluster: Path, password: Path) -> Command:
        if installation.major >= BUILTIN_LOCALES:
            locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        else:
            locale = ("--locale=C.UTF-8",)
        arguments = (
            f"--pgdata={cluster}",
            f"--username={NAME}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *locale,
            "--data-checksums",
        )
        return self._command("initdb", (installation.programs.initdb, *arguments), installation)

    def _command(self, name: str, argv: Sequence[str], installation: Installation) -> Command:
        return Command(
            name=name,
            argv=argv,
            leash=self._leash,
            env=server_environment(),
            pass_fds=(self._folder.lock,),
            folder=self._home,
            log=self._log,
            run_as=installation.run_as,
            stop_signal=signal.SIGINT,  # "fast": ends sessions; SIGTERM would wait for them
            stop_within=30.0,
            hurry_signal=signal.SIGQUIT,  # "immediate": the next start recovers from the log
        )

    def _url_of(self, database: str) -> str:
        where = f"host={quote(str(self._run_folder), safe='')}&port=5432"
        return f"postgresql://{NAME}:{self._password}@/{database}?{where}"

    def _write(self, path: Path, text: str, installation: Installation) -> None:
        """Write a file that only the server's identity can read."""
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            os.fchown(file.fileno(), *installation.run_as.owner)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
