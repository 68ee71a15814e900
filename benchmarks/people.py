"""People with accounts, sessions and requests of their own, for the benchmarks of the API."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import psycopg

from application.execute import Context
from application.sign_in import Client
from benchmarks.harness import Site
from domain.accounts import Role
from domain.media_requests import (
    Media,
    MediaType,
    RequestMedia,
    media_request_id,
    media_requests,
)
from domain.rate_limits import Limit
from domain.sessions import SignInMethod
from infrastructure import postgres
from infrastructure.compose import UseCases, new_id, open_use_cases
from infrastructure.database import open_database
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.migrations import migrate
from infrastructure.settings import Settings
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import Subscriber
from projections.media_requests import MEDIA_REQUESTS

PASSWORD = "correct horse battery staple"
SECRET = "a secret of the benchmarks and of nothing else"
UNLIMITED = Limit(100_000, 3600)


class Person(msgspec.Struct, frozen=True):
    """Somebody who is signed in. ``requests`` are the ids of their own."""

    account_id: UUID
    session_id: UUID
    requests: tuple[UUID, ...]
    token: str = ""


def settings_of(
    database_url: str, redis_url: str | None = None, limits: Limit = UNLIMITED
) -> Settings:
    """Those of an installation with no limits to speak of, unless they are given."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=SECRET,
        limit_general=limits,
        limit_auth=limits,
        limit_download=limits,
        limit_admin=limits,
    )


def email_of(number: int) -> str:
    return f"somebody-{number}@example.org"


async def move_in(database_url: str, people: int, requests_each: int) -> None:
    """Let so many people sign in and ask for titles, and show these in the list of requests."""
    await migrate(database_url)
    settings = settings_of(database_url)
    async with (
        open_database(settings, "benchmark", connections=4) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        moved_in = [await _move_in(use_cases, number, requests_each) for number in range(people)]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE people (number bigint, person text)")
        await connection.cursor().executemany(
            "INSERT INTO people VALUES (%s, %s)",
            [(n, msgspec.json.encode(person).decode()) for n, person in enumerate(moved_in)],
        )
    await _show_requests(database_url)


async def _move_in(use_cases: UseCases, number: int, requests: int) -> Person:
    account_id = await use_cases.accounts.open_account(
        email_of(number), PASSWORD, Role.USER, _context("system:benchmark")
    )
    signed_in = await use_cases.sign_in.as_account(
        account_id, SignInMethod.PASSWORD, Client("127.0.0.1"), _context("system:benchmark")
    )
    titles = [Media(MediaType.MOVIE, number * requests + title) for title in range(1, requests + 1)]
    await asyncio.gather(*(_ask_for(use_cases, media, account_id) for media in titles))
    return Person(account_id, signed_in.session_id, tuple(map(media_request_id, titles)))


async def _ask_for(use_cases: UseCases, media: Media, account_id: UUID) -> None:
    wish = RequestMedia(
        media,
        title="The Long Way Home",
        requested_by=account_id,
        year=2019,
        poster_path="/ggFHVNu6YYI5L9pCfOacjizRGt.jpg",
    )
    context = _context(f"account:{account_id}")
    await use_cases.executor.execute(media_requests, media_request_id(media), wish, context)


async def _show_requests(database_url: str) -> None:
    async with (
        postgres.pool(database_url, "benchmark", size=2) as pool,
        SubscriptionHub(database_url, EventReader(pool, EventCodec())) as hub,
    ):
        subscriber = Subscriber(Projector(MEDIA_REQUESTS), database_url, hub)
        running = asyncio.create_task(subscriber.run())
        shown = await hub.reached(subscriber.name, hub.head, timedelta(minutes=1))
        assert shown, "the list of requests was not shown in time"
        running.cancel()
        await asyncio.wait([running])
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE")


async def signed_in(site: Site) -> list[Person]:
    """The people, with new tokens."""
    settings = settings_of(site.database_url)
    async with (
        open_database(settings, "benchmark", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
        database.pool.connection() as connection,
    ):
        cursor = await connection.execute("SELECT person FROM people ORDER BY number")
        people = [msgspec.json.decode(text, type=Person) for (text,) in await cursor.fetchall()]
        issue = use_cases.secrets.access_tokens.issue
        return [
            msgspec.structs.replace(person, token=issue(person.account_id, person.session_id).token)
            for person in people
        ]


def _context(actor: str) -> Context:
    return Context(actor, "benchmark", new_id())
