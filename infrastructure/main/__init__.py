"""The composition root and the entry point of ``medianest``.

Only in this package do the interfaces meet the infrastructure. Every process of MediaNest starts
here, and each role, a module beside this one, imports only what it runs.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
import uvloop

from domain.accounts import Role
from domain.kernel import DomainError
from infrastructure.settings import Settings, SettingsError, decode, load
from infrastructure.supervision import watch_parent
from interfaces.cli.main import AccountChange, Serve, Serving, Where, cli

T = TypeVar("T")

FAILED = 1
WRONG_USAGE = 2


class MediaNest:
    """Carries out the commands."""

    def up(self, where: Where, serve: Serve, on_ready: Callable[[Serving], Any]) -> None:
        """Run every role until stopped."""
        from infrastructure.up import Plan, Ready, up

        settings = _settings(where, serve)
        plan = Plan(serve.apis, serve.workers, serve.stand_ins)

        async def tell(ready: Ready) -> None:
            told = on_ready(ready)
            if told is not None:
                await told

        _run(settings, "up", lambda hurry: up(settings, plan, tell, hurry))

    def demo(self, where: Where, serve: Serve) -> None:
        """``up`` with stand-ins, and a walk through every flow."""
        from interfaces.cli.demo import walk

        os.environ.setdefault("MEDIANEST_LOG_LEVEL", "error")  # the walk is what to look at
        for policy in ("AUTH", "GENERAL"):  # and it may be walked often in an hour
            os.environ.setdefault(f"MEDIANEST_LIMIT_{policy}", "1000/hour")
        self.up(where, serve, walk)

    def api(self, where: Where, serve: Serve, descriptor: int | None) -> None:
        """Serve HTTP and WebSocket."""
        from infrastructure.main import api
        from infrastructure.up import listen

        settings = _connected(where, serve)
        listener = (
            listen(settings.host, settings.port)
            if descriptor is None
            else socket.socket(fileno=descriptor)
        )
        _run(settings, "api", lambda _: api.run(settings, listener))

    def worker(self, where: Where) -> None:
        """Perform jobs."""
        from infrastructure.main import worker

        settings = _connected(where)
        _run(settings, "worker", lambda _: worker.run(settings))

    def projector(self, where: Where) -> None:
        """Keep the read models and run the reactors."""
        from infrastructure.main import projector

        settings = _connected(where)
        _run(settings, "projector", lambda _: projector.run(settings))

    def migrate(self, where: Where) -> None:
        """Bring the database to this version's schema."""
        from infrastructure.migrations import migrate

        settings = _connected(where)
        database_url = settings.required("database_url")
        _run(settings, "migrate", lambda _: migrate(database_url))

    def add_account(self, where: Where, email: str, password: str, role: Role) -> str:
        """Open an account and return its id."""
        from infrastructure.main import accounts

        settings = _connected(where)
        added = _run(settings, "accounts", lambda _: accounts.add(settings, email, password, role))
        return str(added)

    def list_accounts(self, where: Where) -> Sequence[Any]:
        """Everybody who has an account."""
        from infrastructure.main import accounts

        settings = _connected(where)
        return _run(settings, "accounts", lambda _: accounts.list_all(settings)) or ()

    def change_account(self, where: Where, email: str, change: AccountChange) -> Any:
        """Carry out ``change`` on the account of an e-mail address."""
        from infrastructure.main import accounts

        settings = _connected(where)
        return _run(settings, "accounts", lambda _: accounts.change(settings, email, change))

    def rotate_keys(self, where: Where) -> str:
        """Let a new key sign access tokens; its id."""
        from infrastructure.main import keys

        settings = _connected(where)
        return str(_run(settings, "keys", lambda _: keys.rotate(settings)))


def _settings(where: Where, serve: Serve | None = None) -> Settings:
    """What is set, with what was chosen on the command line."""
    return load(
        config=where.config,
        data_dir=where.data_dir,
        host=serve.host if serve else None,
        port=serve.port if serve else None,
    )


def _connected(where: Where, serve: Serve | None = None) -> Settings:
    """The settings of one role.

    A supervisor tells them on standard input, once it knows them. Otherwise, what is not set is
    what a running ``up`` in the data folder has.
    """
    if where.supervised:
        return decode(sys.stdin.buffer.read())
    from infrastructure.embedded import find_running

    settings = _settings(where, serve)
    if settings.database_url is None and (running := find_running(settings.data_dir)):
        settings = msgspec.structs.replace(
            settings,
            database_url=running.database_url,
            redis_url=settings.redis_url or running.redis_url,
        )
    secret = settings.data_dir / "medianest.secret"
    if settings.secret_key is None and secret.exists():
        settings = msgspec.structs.replace(settings, secret_key=secret.read_text())
    return settings


def _run(
    settings: Settings, process: str, work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]
) -> T | None:
    """What ``work`` returns, or ``None`` when a signal stopped it first.

    The event that it is given is set by a second signal: then it has to hurry.
    """
    from infrastructure.supervision.supervisor import until_signal
    from infrastructure.telemetry import configure_logging

    configure_logging(settings.log_level, process)

    async def until_stopped() -> T | None:
        async with until_signal() as hurry:
            return await work(hurry)
        return None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(until_stopped())


def main() -> None:
    """Run the command line; exit statuses are 0 ok, 1 failed, 2 usage or settings."""
    watch_parent()
    try:
        cli(obj=MediaNest())
    except SettingsError as error:
        _quit(WRONG_USAGE, error)
    except Exception as error:
        if not isinstance(error, _told_to_people()):
            raise
        _quit(FAILED, error)


def _told_to_people() -> tuple[type[Exception], ...]:
    """Errors whose message is the whole story; others keep their traceback."""
    from psycopg import OperationalError

    from application.ports import PortError
    from infrastructure.database import SchemaOutdated
    from infrastructure.embedded import EmbeddedError
    from infrastructure.supervision.processes import StartFailed
    from infrastructure.up import AddressInUse

    return (
        AddressInUse,
        DomainError,
        EmbeddedError,
        OperationalError,
        PortError,
        SchemaOutdated,
        StartFailed,
    )


def _quit(status: int, error: Exception) -> NoReturn:
    message = str(error).strip()
    sys.stderr.write(f"medianest: {message[:1].upper()}{message[1:]}\n")
    sys.exit(status)
