"""A whole MediaNest with its stand-ins, started as a person would: ``medianest up --stand-ins``."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec
import psutil
import psycopg
import websockets

from infrastructure.embedded import ServerUrls, find_running
from infrastructure.stand_ins.control_client import StandInControl
from infrastructure.stand_ins.overseerr import API_KEY
from infrastructure.stand_ins.running import StandIns

UNHINDERED = {
    f"MEDIANEST_LIMIT_{policy.upper()}": "100000/hour"
    for policy in ("general", "auth", "download", "admin")
}
"""Limits that no test reaches unless it sets others: all of them come from one address."""


class Account(msgspec.Struct, frozen=True):
    email: str
    password: str
    role: str


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    accounts: list[Account]
    stand_ins: dict[str, str]
    setup_token: str | None = None


class Running:
    """One that is ready. ``process`` is the supervisor."""

    def __init__(self, ready: Ready, process: asyncio.subprocess.Process, data_dir: Path) -> None:
        self.url = ready.url
        self.process = process
        self.data_dir = data_dir
        self.stand_ins = ready.stand_ins
        self.setup_token = ready.setup_token
        self.tmdb = StandInControl(ready.stand_ins["control"], "tmdb")
        self.overseerr = StandInControl(ready.stand_ins["control"], "overseerr")
        self.plex_tv = StandInControl(ready.stand_ins["control"], "plexTv")
        self.plex = StandInControl(ready.stand_ins["control"], "plex")
        self._accounts = {account.role: account for account in ready.accounts}

    async def aclose(self) -> None:
        """Let go of the stand-ins; it stays up."""
        for stand_in in (self.tmdb, self.overseerr, self.plex_tv, self.plex):
            await stand_in.aclose()

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

    @asynccontextmanager
    async def accepting(self, pid: int) -> AsyncGenerator[None]:
        """Meanwhile only this API process takes new connections: the others stand still."""
        others = [psutil.Process(other) for other in self.pids("api") if other != pid]
        try:
            for other in others:
                other.suspend()
            async with asyncio.timeout(10):
                while any(other.status() != psutil.STATUS_STOPPED for other in others):
                    await asyncio.sleep(0.001)
            yield
        finally:
            for other in others:
                other.resume()

    @asynccontextmanager
    async def client_at(
        self, pid: int, *, address: str = "127.0.0.1"
    ) -> AsyncGenerator[httpx.AsyncClient]:
        """A client below ``/api/v1`` of one API process; its connection must not idle for 5 s.

        It comes from ``address``, which may be any of 127.0.0.0/8.
        """
        addresses: set[tuple[str, int]] = set()

        async def stays(answer: httpx.Response) -> None:
            addresses.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            assert len(addresses) == 1, "The connection was lost, so this may be another process."

        async with httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            transport=httpx.AsyncHTTPTransport(
                trust_env=False, limits=httpx.Limits(max_connections=1), local_address=address
            ),
            timeout=20,
            event_hooks={"response": [stays]},
        ) as client:
            async with self.accepting(pid):
                await client.get("/health/live")
            held = psutil.Process(pid).net_connections("tcp4")
            assert addresses <= {connection.raddr for connection in held}
            lively = asyncio.create_task(_keep_alive(client))
            try:
                yield client
            finally:
                lively.cancel()
                await asyncio.wait((lively,))

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
    async with _up(data_dir, "--stand-ins", *options, environment=environment or {}) as started:
        ready, process = started
        async with aclosing(Running(ready, process, data_dir)) as running:
            yield running


@asynccontextmanager
async def empty_medianest(
    data_dir: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> AsyncGenerator[tuple[Running, StandIns]]:
    """One that nobody has set up: no accounts, and stand-ins that run here, in the test.

    What all its processes write on standard error goes to ``log``, if it is named.
    """
    async with StandIns() as stand_ins:
        pointed = {
            "MEDIANEST_TMDB_URL": stand_ins.tmdb.url,
            "MEDIANEST_TMDB_TOKEN": stand_ins.tmdb.api_key,
            "MEDIANEST_OVERSEERR_URL": stand_ins.overseerr.url,
            "MEDIANEST_OVERSEERR_API_KEY": stand_ins.overseerr.api_key,
            "MEDIANEST_PLEX_URL": stand_ins.plex.url,
            "MEDIANEST_PLEX_TOKEN": stand_ins.plex.token,
            "MEDIANEST_PLEX_TV_URL": stand_ins.plex_tv.url,
        }
        pointed |= environment or {}
        async with _up(data_dir, *options, environment=pointed, log=log) as (ready, process):
            urls = {"overseerr": stand_ins.overseerr.url, "control": stand_ins.control.url}
            known = msgspec.structs.replace(ready, stand_ins=urls)
            async with aclosing(Running(known, process, data_dir)) as running:
                yield running, stand_ins


@asynccontextmanager
async def _up(
    data_dir: Path, *options: str, environment: Mapping[str, str], log: Path | None = None
) -> AsyncGenerator[tuple[Ready, asyncio.subprocess.Process]]:
    with log.open("wb") if log else nullcontext() as stderr:
        process = await start(
            ["up", "--json", "--port", "0", "--data-dir", str(data_dir), *options],
            {**UNHINDERED, **environment},
            stderr=stderr or False,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield msgspec.json.decode(line, type=Ready), process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


async def run(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: bytes = b""
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that ends by itself."""
    process = await start(arguments, environment, stdin=asyncio.subprocess.PIPE, stderr=True)
    async with asyncio.timeout(60):
        out, error = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def start(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    stdin: int = asyncio.subprocess.DEVNULL,
    stderr: bool | IO[bytes] = False,
) -> asyncio.subprocess.Process:
    """``medianest`` with these arguments; its standard output, and error if wanted, are pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infrastructure.main", *arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if stderr is True else stderr or None,
        env={**_clean_environment(), **(environment or {})},
    )


async def _keep_alive(client: httpx.AsyncClient) -> None:
    """The server closes a connection that is idle for five seconds."""
    while True:
        await asyncio.sleep(2)
        await client.get("/health/live")


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
