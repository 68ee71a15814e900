"""A whole MediaNest with its stand-ins, started as a person would: ``medianest up --stand-ins``."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import psycopg
import websockets

from infrastructure.embedded import ServerUrls, find_running
from infrastructure.stand_ins.control_client import StandInControl
from infrastructure.stand_ins.overseerr import API_KEY


class Account(msgspec.Struct, frozen=True):
    email: str
    password: str
    role: str


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    accounts: list[Account]
    stand_ins: dict[str, str]


class Running:
    """One that is ready. ``process`` is the supervisor."""

    def __init__(self, ready: Ready, process: asyncio.subprocess.Process, data_dir: Path) -> None:
        self.url = ready.url
        self.process = process
        self.data_dir = data_dir
        self.stand_ins = ready.stand_ins
        self.tmdb = StandInControl(ready.stand_ins["control"], "tmdb")
        self.overseerr = StandInControl(ready.stand_ins["control"], "overseerr")
        self._accounts = {account.role: account for account in ready.accounts}

    @property
    def servers(self) -> ServerUrls:
        """Where its databases are."""
        urls = find_running(self.data_dir)
        assert urls is not None
        return urls

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection to its PostgreSQL."""
        return psycopg.connect(self.servers.database_url, autocommit=True)

    def pids(self, role: str | None = None) -> list[int]:
        """The processes below the supervisor; of one role, if it is named."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in children if role is None or role in _words(child)]

    def kill(self, role: str) -> None:
        """``kill -9`` every process of a role; the supervisor will start it again."""
        for pid in self.pids(role):
            os.kill(pid, signal.SIGKILL)

    async def in_overseerr(self, *, take: int = 100) -> list[int]:
        """The TMDB id of every request that Overseerr has; asked as an admin of it would."""
        async with httpx.AsyncClient(
            base_url=f"{self.stand_ins['overseerr']}/api/v1", headers={"X-Api-Key": API_KEY}
        ) as overseerr:
            answer = await overseerr.get("/request", params={"take": take})
            answer.raise_for_status()
            return [result["media"]["tmdbId"] for result in answer.json()["results"]]

    @asynccontextmanager
    async def client(self, role: str | None = "user") -> AsyncGenerator[httpx.AsyncClient]:
        """An HTTP client below ``/api/v1``, signed in unless ``role`` is ``None``."""
        async with httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", trust_env=False, timeout=20
        ) as client:
            if role is not None:
                client.headers["Authorization"] = f"Bearer {await self.token(client, role)}"
            yield client

    async def token(self, client: httpx.AsyncClient, role: str) -> str:
        """An access token of the seeded account with this role."""
        account = self._accounts[role]
        body = {"email": account.email, "password": account.password}
        answer = await client.post("/auth/login", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()["accessToken"]

    @asynccontextmanager
    async def socket(
        self, client: httpx.AsyncClient, *topics: str, start: int | None = None
    ) -> AsyncGenerator[websockets.ClientConnection]:
        """A WebSocket of whoever ``client`` is signed in as, subscribed to ``topics``."""
        async with websockets.connect(
            f"{self.url.replace('http', 'ws', 1)}/api/v1/ws",
            additional_headers={"Authorization": client.headers["Authorization"]},
            proxy=None,
        ) as socket:
            wish: dict[str, Any] = {"type": "subscribe", "topics": topics}
            if start is not None:
                wish["from"] = start
            await socket.send(msgspec.json.encode(wish).decode())
            subscribed = msgspec.json.decode(await socket.recv())
            assert subscribed["type"] == "subscribed"
            yield socket


@asynccontextmanager
async def medianest(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Running]:
    """Start it on a free port, and stop it by its pid at the end."""
    process = await start(
        ["up", "--stand-ins", "--json", "--port", "0", "--data-dir", str(data_dir), *options],
        environment,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        running = Running(msgspec.json.decode(line, type=Ready), process, data_dir)
        yield running
        await running.tmdb.aclose()
        await running.overseerr.aclose()
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


async def start(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    stdin: int = asyncio.subprocess.DEVNULL,
    stderr: bool = False,
) -> asyncio.subprocess.Process:
    """``medianest`` with these arguments; its standard output, and error if wanted, are pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infrastructure.main", *arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if stderr else None,
        env={**_clean_environment(), **(environment or {})},
    )


def _clean_environment() -> dict[str, str]:
    """Ours without settings, so that those of whoever runs the tests do not matter."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("MEDIANEST_") and key not in {"DATABASE_URL", "REDIS_URL"}
    }


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
