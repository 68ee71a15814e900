"""``medianest up``: every role in one command, on embedded servers unless others are named."""

import asyncio
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec

from application.execute import Context
from domain.accounts import AccountExists, Role
from domain.kernel import stream_id
from infrastructure.compose import new_id, open_use_cases
from infrastructure.database import open_database
from infrastructure.embedded import DataFolder, EmbeddedServers
from infrastructure.migrations import migrate
from infrastructure.settings import Settings, encode
from infrastructure.stand_ins.running import StandIns
from infrastructure.supervision.supervisor import Child, Supervisor

GONE_AFTER_MS = 30_000
"""A peer that acknowledges nothing for so long is gone, even if it never says so."""


class AddressInUse(Exception):
    """Something else listens where we should; or the address is not ours."""


class SeededAccount(msgspec.Struct, frozen=True):
    """An account that ``--stand-ins`` made, so that there is somebody to try things as."""

    email: str
    password: str
    role: Role


class Ready(msgspec.Struct, frozen=True, rename="camel"):
    """What ``up --json`` prints once everything serves."""

    ready: bool
    url: str
    accounts: list[SeededAccount] = []
    stand_ins: dict[str, str] = {}
    setup_token: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """How many of which."""

    apis: int = 1
    workers: int = 1
    stand_ins: bool = False


async def up(
    settings: Settings,
    plan: Plan,
    on_ready: Callable[[Ready], Awaitable[None]],
    hurry: asyncio.Event,
) -> None:
    """Run everything until cancelled; ``on_ready`` is called once all roles serve.

    The stop is orderly, and cut short by ``hurry``.

    Raises AddressInUse, EmbeddedError or StartFailed before anything is left running.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        folder = stack.enter_context(DataFolder.claim(settings.data_dir))
        stand_ins = await stack.enter_async_context(StandIns()) if plan.stand_ins else None
        servers = EmbeddedServers(
            folder,
            database_url=settings.database_url,
            redis_url=settings.redis_url,
            hurry=hurry,
        )
        # The roles start with everything else, get ready to listen, and are told where the servers
        # are as soon as these serve.
        words: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        roles = Supervisor(_children(plan, listener, words), hurry=hurry)
        starting = asyncio.create_task(roles.__aenter__())
        stack.push_async_callback(_call_off, starting)
        urls = await stack.enter_async_context(servers)
        settings = msgspec.structs.replace(
            settings,
            database_url=urls.database_url,
            redis_url=urls.redis_url,
            secret_key=settings.secret_key or folder.secret("medianest"),
            **(_pointed_at(stand_ins, settings) if stand_ins else {}),
        )
        await migrate(urls.database_url)
        words.set_result(encode(settings))
        accounts, setup_token = await _seed(settings, folder.path if plan.stand_ins else None)
        stack.push_async_exit(await starting)
        url = f"http://{settings.host}:{listener.getsockname()[1]}"
        if stand_ins:
            stand_ins.overseerr.send_news(
                f"{url}/api/v1/webhooks/overseerr", settings.required("overseerr_webhook_secret")
            )
        await on_ready(
            Ready(
                ready=True,
                url=url,
                accounts=accounts,
                stand_ins=_urls(stand_ins) if stand_ins else {},
                setup_token=setup_token,
            )
        )
        await asyncio.Event().wait()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a used port is known before anything starts."""
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise AddressInUse(
            f"Cannot listen on {host}:{port}: {error.strerror}."
            " Choose another with --host and --port."
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; every accepted connection inherits it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER_MS)
    return listener


def _children(plan: Plan, listener: socket.socket, words: asyncio.Future[bytes]) -> list[Child]:
    """Started together, stopped from the last to the first."""

    def role(name: str, *options: str, count: int = 1, pass_fds: Sequence[int] = ()) -> Child:
        argv = [sys.executable, "-m", "infrastructure.main", name, "--supervised", *options]
        return Child(name=name, argv=argv, words=words, count=count, pass_fds=pass_fds)

    descriptor = listener.fileno()
    return [
        role("projector"),
        role("worker", count=plan.workers),
        role("api", "--fd", str(descriptor), count=plan.apis, pass_fds=(descriptor,)),
    ]


async def _call_off(starting: asyncio.Task[Supervisor]) -> None:
    """Undo a start that did not come to its end; one that did is undone elsewhere."""
    starting.cancel()
    await asyncio.wait((starting,))


def _pointed_at(stand_ins: StandIns, settings: Settings) -> dict[str, str]:
    return {
        "tmdb_url": stand_ins.tmdb.url,
        "tmdb_token": stand_ins.tmdb.api_key,
        "overseerr_url": stand_ins.overseerr.url,
        "overseerr_api_key": stand_ins.overseerr.api_key,
        "overseerr_webhook_secret": settings.overseerr_webhook_secret or secrets.token_urlsafe(24),
        "plex_url": stand_ins.plex.url,
        "plex_token": stand_ins.plex.token,
        "plex_tv_url": stand_ins.plex_tv.url,
    }


def _urls(stand_ins: StandIns) -> dict[str, str]:
    return {
        "tmdb": stand_ins.tmdb.url,
        "overseerr": stand_ins.overseerr.url,
        "plex": stand_ins.plex.url,
        "plexTv": stand_ins.plex_tv.url,
        "control": stand_ins.control.url,
    }


async def _seed(settings: Settings, folder: Path | None) -> tuple[list[SeededAccount], str | None]:
    """The accounts to try things with, if they are wanted; the set-up token, if it is needed."""
    async with (
        open_database(settings, "seed", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        wanted = _known_or_new(folder / "accounts.json") if folder else []
        for account in wanted:
            command_id = stream_id("seed", account.email)
            context = Context("system:seed", "seed", command_id)
            with suppress(AccountExists):
                await use_cases.accounts.open_account(
                    account.email, account.password, account.role, context
                )
        command_id = new_id()
        context = Context("system:up", str(command_id), command_id)
        return wanted, await use_cases.setup.offer(context)


def _known_or_new(path: Path) -> list[SeededAccount]:
    """The accounts with their passwords; made once, and the same at every later start."""
    if not path.exists():
        accounts = [
            SeededAccount("admin@medianest.test", secrets.token_urlsafe(9), Role.ADMIN),
            SeededAccount("user@medianest.test", secrets.token_urlsafe(9), Role.USER),
        ]
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.encode(accounts))
    return msgspec.json.decode(path.read_bytes(), type=list[SeededAccount])
