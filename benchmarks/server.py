"""A private PostgreSQL and Valkey for the benchmarks, started as MediaNest starts its own."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composed, Identifier

from infrastructure.embedded import DataFolder, EmbeddedServers, ServerUrls

SCRATCH = Path(".benchmarks")
"""Below the working directory, and ignored by git: data folders, and peers that are installed."""


class Server(msgspec.Struct, frozen=True):
    """A PostgreSQL with default durability, and a Valkey beside it.

    ``folder`` is on PostgreSQL's disk; ``pid`` began all of PostgreSQL.
    """

    url: str
    folder: Path
    pid: int
    version: str
    redis_url: str

    def make_database(self, name: str) -> str:
        """Make one that is empty; its URL."""
        self._execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self._url_of(name)

    @contextmanager
    def fresh_database(self, template: str) -> Generator[str]:
        """The URL of a copy of ``template``, on the disk before it is used."""
        name = f"{template}_copy"
        self._execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                Identifier(name), Identifier(template)
            )
        )
        try:
            self._execute(SQL("CHECKPOINT"))
            yield self._url_of(name)
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def _url_of(self, database: str) -> str:
        return make_conninfo(self.url, dbname=database)

    def _execute(self, statement: SQL | Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_server() -> Generator[Server]:
    """Start one in a scratch folder, and stop it and remove the folder at the end."""
    SCRATCH.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(dir=SCRATCH.absolute(), prefix="postgres-") as scratch,
        DataFolder.claim(Path(scratch)) as folder,
        asyncio.Runner() as runner,
    ):
        servers = EmbeddedServers(folder, postgres_settings={"max_connections": "300"})
        urls = runner.run(servers.__aenter__())
        try:
            yield _server(urls, folder.path)
        finally:
            runner.run(servers.__aexit__(None, None, None))


def _server(urls: ServerUrls, folder: Path) -> Server:
    with psycopg.connect(urls.database_url) as connection:
        (version,) = connection.execute("SHOW server_version").fetchone() or ("unknown",)
        backend = psutil.Process(connection.info.backend_pid)
        parent = backend.parent() or backend
    url = make_conninfo("", **conninfo_to_dict(urls.database_url))
    return Server(url, folder, parent.pid, version, urls.redis_url)
