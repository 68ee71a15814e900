"""The composition root and the entry point of ``medianest``.

Only here do the interfaces meet the infrastructure. Every process of MediaNest starts here, so each
role imports only what it runs: a worker needs no web framework.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import timedelta
from importlib import import_module
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import msgspec
import uvloop

from domain.accounts import Role
from domain.kernel import DomainError
from infrastructure.settings import Settings, SettingsError, load
from infrastructure.supervision import announce_ready, watch_parent
from interfaces.cli.main import Serve, Serving, Where, cli

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
        self.up(where, serve, walk)

    def api(self, where: Where, serve: Serve, descriptor: int | None) -> None:
        """Serve HTTP and WebSocket."""
        from infrastructure.up import listen

        settings = _connected(where, serve)
        listener = (
            listen(settings.host, settings.port)
            if descriptor is None
            else socket.socket(fileno=descriptor)
        )
        _run(settings, "api", lambda _: _api(settings, listener))

    def worker(self, where: Where) -> None:
        """Perform jobs."""
        settings = _connected(where)
        _run(settings, "worker", lambda _: _worker(settings))

    def projector(self, where: Where) -> None:
        """Keep the read models and run the reactors."""
        settings = _connected(where)
        _run(settings, "projector", lambda _: _projector(settings))

    def migrate(self, where: Where) -> None:
        """Bring the database to this version's schema."""
        from infrastructure.migrations import migrate

        settings = _connected(where)
        database_url = settings.required("database_url")
        _run(settings, "migrate", lambda _: migrate(database_url))

    def add_account(self, where: Where, email: str, password: str, role: Role) -> str:
        """Open an account and return its id."""
        settings = _connected(where)
        return str(
            _run(settings, "accounts", lambda _: _add_account(settings, email, password, role))
        )


async def _api(settings: Settings, listener: socket.socket) -> None:
    """Serve on ``listener`` until cancelled."""
    from infrastructure.compose import new_id, open_use_cases, utc_now
    from infrastructure.database import open_database
    from infrastructure.health import HealthCheck
    from infrastructure.server import serve
    from infrastructure.subscriptions.hub import SubscriptionHub
    from interfaces.doors import Doors
    from interfaces.http.app import build_app
    from projections.media_requests import MediaRequestQueries

    async with (
        open_database(settings, "api", connections=8) as database,
        open_use_cases(settings, database) as use_cases,
        SubscriptionHub(database.url, database.reader) as hub,
        aclosing(HealthCheck(database.pool, settings.required("redis_url"))) as health,
    ):
        doors = Doors(
            accounts=use_cases.accounts,
            media_requests=use_cases.media_requests,
            request_queries=MediaRequestQueries(database.pool),
            tokens=use_cases.tokens,
            feed=hub,
            progress=hub,
            health=health,
            clock=utc_now,
            ids=new_id,
        )
        app = build_app(doors)
        await serve(app, listener, before_stop=app.drain)


async def _projector(settings: Settings) -> None:
    """Keep the read models and run the reactors until cancelled.

    Any number of these processes may run; each subscriber has one owner among them.
    """
    from application.reactors import REACTORS
    from infrastructure.database import open_database
    from infrastructure.loops import keep_running
    from infrastructure.subscriptions.hub import SubscriptionHub
    from infrastructure.subscriptions.projector import Projector
    from infrastructure.subscriptions.reactions import Reaction
    from infrastructure.subscriptions.subscriber import Subscriber, Subscription
    from projections.registry import READ_MODELS

    async with (
        open_database(settings, "projector", connections=2) as database,
        SubscriptionHub(database.url, database.reader) as hub,
        asyncio.TaskGroup() as group,
    ):

        def follow(subscription: Subscription) -> None:
            subscriber = Subscriber(subscription, database.url, hub)
            group.create_task(keep_running(subscriber.name, subscriber.run))

        for model in READ_MODELS:
            follow(Projector(model))
        announce_ready()
        # taskiq takes half a second to import, which nobody has to wait for.
        tasks = await asyncio.to_thread(import_module, "infrastructure.tasks")
        bell = tasks.WorkerBell(settings.required("redis_url"))
        for reactor in REACTORS:
            follow(Reaction(reactor, bell.ring))


async def _worker(settings: Settings) -> None:
    """Perform what reactors ask for until cancelled."""
    from infrastructure.compose import open_use_cases
    from infrastructure.database import open_database
    from infrastructure.outbox import Outbox
    from infrastructure.worker import Worker

    async with (
        open_database(settings, "worker", connections=8) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        outbox = Outbox(database.pool, lease=timedelta(seconds=settings.lease_seconds))
        worker = Worker(outbox, use_cases.performer.perform, settings.required("redis_url"))
        announce_ready()
        await worker.run()


async def _add_account(settings: Settings, email: str, password: str, role: Role) -> UUID:
    from application.execute import Context
    from infrastructure.compose import new_id, open_use_cases
    from infrastructure.database import open_database

    async with (
        open_database(settings, "accounts", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        command_id = new_id()
        context = Context("system:cli", str(command_id), command_id)
        return await use_cases.accounts.open_account(email, password, role, context)


def _settings(where: Where, serve: Serve | None = None) -> Settings:
    """What is set, with what was chosen on the command line."""
    return load(
        config=where.config,
        data_dir=where.data_dir,
        host=serve.host if serve else None,
        port=serve.port if serve else None,
    )


def _connected(where: Where, serve: Serve | None = None) -> Settings:
    """The settings of one role: what is not set is what a running ``up`` in the folder has."""
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
    from psycopg_pool import PoolTimeout

    from infrastructure.database import SchemaOutdated
    from infrastructure.embedded import EmbeddedError
    from infrastructure.supervision.processes import StartFailed
    from infrastructure.up import AddressInUse

    return (
        AddressInUse,
        DomainError,
        EmbeddedError,
        OperationalError,
        PoolTimeout,
        SchemaOutdated,
        StartFailed,
    )


def _quit(status: int, error: Exception) -> NoReturn:
    message = str(error).strip()
    sys.stderr.write(f"medianest: {message[:1].upper()}{message[1:]}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
