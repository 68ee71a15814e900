"""What a running MediaNest leaves behind, wherever that is, and a search through all of it."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec
import psutil
import redis.asyncio
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from tests.running import Running

SECRET_FIELDS = {
    "accessToken",
    "code",
    "email",
    "key",
    "name",
    "newPassword",
    "password",
    "plexToken",
    "refreshToken",
    "token",
}
"""Of bodies: what opens something, and what names somebody."""
MEANT_TO_BE_SECRET = ("*.secret", "connection.json", "valkey.conf", "medianest.conf")
"""Files that are there to keep a secret, readable to their owner only."""
LONG = 40
"""Characters of a token, of which a part would be too much, too."""
SHORT = 12
"""Characters whose Base64 is too short to be told from chance in a whole data folder."""


class Secrets:
    """Collects what a client sends and receives that nobody else may see, and every error answer.

    ``hooks`` are for httpx.
    """

    def __init__(self, *known: str) -> None:
        self.all = set(known)
        self.error_answers: list[bytes] = []
        self.hooks: dict[str, list[Any]] = {"request": [self._sent], "response": [self._answered]}

    async def _sent(self, request: httpx.Request) -> None:
        self._take(request.content)

    async def _answered(self, answer: httpx.Response) -> None:
        body = await answer.aread()
        if answer.is_error:
            headers = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
            self.error_answers.append(headers + b"\n\n" + body)
            return
        self._take(body)
        self.all |= {cookie.value for cookie in answer.cookies.jar if cookie.value}

    def _take(self, body: bytes) -> None:
        try:
            self._take_from(msgspec.json.decode(body))
        except msgspec.DecodeError:  # no body, or none that is JSON
            return

    def _take_from(self, value: Any) -> None:
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            self.all |= {
                inner
                for name, inner in fields.items()
                if name in SECRET_FIELDS and isinstance(inner, str)
            }
            value = list(fields.values())
        if isinstance(value, list):
            for inner in cast("list[Any]", value):
                self._take_from(inner)


def forms(secret: str) -> set[bytes]:
    """As what it could be found: itself, a part of it, or what anybody can turn back into it."""
    plain = secret.encode()
    found = {plain, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    if len(plain) >= LONG:
        found |= {plain[-LONG // 2 :]}
    if len(plain) >= SHORT:
        # Base64 depends on where the text begins; what hangs on its neighbours is left out.
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + plain).rstrip(b"=")
            middle = encoded[4 if before else 0 : -1]
            found |= {middle, middle.translate(bytes.maketrans(b"+/", b"-_"))}
    # Whoever guesses it could prove it right.
    for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256):
        found |= {digest(text).hexdigest().encode() for text in (plain, plain.lower())}
    return found


def find(secrets: Iterable[str], places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Where which secret stands, in capitals or not."""
    lower = {place: text.lower() for place, text in places.items()}
    return [
        (place, secret)
        for secret in sorted(secrets)
        for form in [form.lower() for form in forms(secret)]
        for place, text in lower.items()
        if form in text
    ]


async def in_memory(running: Running) -> dict[str, bytes]:
    """What is there while it runs: every table, every key, what is measured, what ``ps`` shows."""
    with running.connect() as connection:
        places = {f"table {name}": _rows(connection, name) for name in _tables(connection)}
        queries = connection.execute("SELECT query FROM pg_stat_activity").fetchall()
    ours = {running.process.pid, *running.pids()}
    commands = [
        process.info["cmdline"]
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.pid in ours
    ]
    return {
        **places,
        "queries": repr(queries).encode(),
        "valkey": b"\n".join(await _entries(running.servers.redis_url)),
        "metrics": "\n".join(await _metrics(running)).encode(),
        "command lines": repr(commands).encode(),
    }


def on_disk(running: Running, log: Path) -> dict[str, bytes]:
    """What is left of it: what its processes have written, and its whole data folder."""
    files = [path for path in running.data_dir.rglob("*") if path.is_file()]
    kept = (path for path in files if not any(map(path.match, MEANT_TO_BE_SECRET)))
    return {
        "log": log.read_bytes(),
        "logs of the servers": b"\n".join(
            path.read_bytes() for path in (running.data_dir / "log").iterdir()
        ),
        "data folder": b"\n".join(path.read_bytes() for path in kept),
    }


def _tables(connection: "Connection[Any]") -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return [name for (name,) in rows]


def _rows(connection: "Connection[Any]", table: str) -> bytes:
    rows = connection.execute(SQL("SELECT * FROM {}").format(Identifier(table)))
    return b"\n".join(b"\t".join(map(_bytes, row)) for row in rows)


def _bytes(value: Any) -> bytes:
    """Bytes as they are, texts in UTF-8, all others as they are printed."""
    if isinstance(value, dict):
        value = list(cast("dict[Any, Any]", value).items())
    if isinstance(value, list | tuple):
        return b" ".join(map(_bytes, cast("Iterable[Any]", value)))
    return value if isinstance(value, bytes) else str(value).encode()


async def _entries(redis_url: str) -> list[bytes]:
    """Every key of Valkey with its value."""
    redis_py: Any = redis.asyncio  # whose annotations leave keyword arguments open
    async with redis_py.Redis.from_url(redis_url) as client:
        read: dict[bytes, tuple[str | int, ...]] = {
            b"string": ("GET",),
            b"list": ("LRANGE", 0, -1),
            b"hash": ("HGETALL",),
            b"set": ("SMEMBERS",),
            b"zset": ("ZRANGE", 0, -1),
            b"stream": ("XRANGE", "-", "+"),
        }
        entries: list[bytes] = []
        async for key in client.scan_iter():
            command, *rest = read[await client.type(key)]
            entries += [key, _bytes(await client.execute_command(command, key, *rest))]
        return entries


async def _metrics(running: Running) -> list[str]:
    """What each API process has measured."""
    texts: list[str] = []
    for pid in running.pids("api"):
        async with running.client_at(pid) as client:
            texts.append((await client.get(f"{running.url}/metrics")).text)
    return texts
