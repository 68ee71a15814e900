"""Puts the use cases together on the real world: one way for every role, and for the tests."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import uuid_utils

from application.accounts import Accounts
from application.execute import Executor
from application.media_requests import MediaRequests
from application.perform import Performer
from application.ports import (
    AccessTokens,
    CatalogueUnavailable,
    EventStore,
    MediaCatalogue,
    Title,
)
from domain.media_requests import Media
from infrastructure.database import Database
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.security import Argon2idHasher, JwtAccessTokens
from infrastructure.settings import Settings
from infrastructure.upstreams.overseerr import OverseerrForwarder
from infrastructure.upstreams.tmdb import TmdbCatalogue


def utc_now() -> datetime:
    """The time of every decision made here."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUID version 7."""
    return UUID(int=uuid_utils.uuid7().int)


class UseCases(msgspec.Struct, frozen=True):
    """What can be done, with the store that keeps it."""

    store: EventStore
    accounts: Accounts
    media_requests: MediaRequests
    tokens: AccessTokens
    performer: Performer


@asynccontextmanager
async def open_use_cases(settings: Settings, database: Database) -> AsyncGenerator[UseCases]:
    """The use cases on the real world."""
    tokens = JwtAccessTokens(settings.required("secret_key"), utc_now)
    hasher = Argon2idHasher()
    async with (
        GroupCommitWriter(database.url, database.codec) as writer,
        _catalogue(settings) as catalogue,
        _forwarder(settings) as forwarder,
    ):
        store = PostgresEventStore(writer, database.reader)
        executor = Executor(store, utc_now, new_id)
        media_requests = MediaRequests(executor, store, catalogue, forwarder, utc_now)
        accounts = Accounts(executor, hasher, tokens)
        try:
            yield UseCases(store, accounts, media_requests, tokens, Performer(media_requests))
        finally:
            hasher.close()


@asynccontextmanager
async def _catalogue(settings: Settings) -> AsyncGenerator[MediaCatalogue]:
    """Without a token nothing can be looked up, and every request is told so."""
    if settings.tmdb_token is None:
        yield NoCatalogue()
        return
    async with aclosing(TmdbCatalogue(settings.tmdb_token, settings.tmdb_url)) as catalogue:
        yield catalogue


class NoCatalogue:
    """``application.ports.MediaCatalogue`` of an install that has none."""

    async def look_up(self, media: Media) -> Title:
        """Raises CatalogueUnavailable."""
        raise CatalogueUnavailable(f"No {media.media_type} can be looked up without a TMDB token.")


@asynccontextmanager
async def _forwarder(settings: Settings) -> AsyncGenerator[OverseerrForwarder | None]:
    """An install without Overseerr keeps its requests for an admin to fulfil by hand."""
    if settings.overseerr_url is None:
        yield None
        return
    api_key = settings.required("overseerr_api_key")
    async with aclosing(OverseerrForwarder(settings.overseerr_url, api_key)) as forwarder:
        yield forwarder
