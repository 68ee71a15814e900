"""Puts the use cases together on the real world: one way for every role, and for the tests."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from application.accounts import Accounts
from application.alerts import Alerts
from application.api_keys import ApiKeys
from application.execute import Executor
from application.identities import Identities
from application.media_requests import Forwarding, MediaRequests, RequestRules
from application.notifications import Choices, Delivering, Inboxes, Telling
from application.perform import Performer
from application.ports import (
    CatalogueUnavailable,
    EventFeed,
    EventStore,
    Gate,
    MediaCatalogue,
    Passage,
    SearchPage,
    Standing,
    Title,
    TitleDetails,
    Visit,
)
from application.ports.notifiers import Notifier
from application.quotas import PersonsQuotas
from application.setup import Setup
from application.sign_in import SignIn
from application.standings import Standings
from application.upstream_news import UpstreamNews
from domain.accounts import Role
from domain.kernel import History
from domain.media_requests import Media, MediaType
from infrastructure.database import Database
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.notifiers.mail import MailServer
from infrastructure.notifiers.notifier import RealNotifier
from infrastructure.outbox import Outbox
from infrastructure.security.access_tokens import JwtAccessTokens
from infrastructure.security.keyring import open_keyring
from infrastructure.security.opaque_tokens import OpaqueTokenMint
from infrastructure.security.passwords import Argon2idHasher
from infrastructure.security.personal_data import KeyedPseudonym, Vault
from infrastructure.settings import Settings
from infrastructure.upstreams.overseerr import OverseerrForwarder
from infrastructure.upstreams.plex import PlexShelf
from infrastructure.upstreams.plex_tv import PlexTvAccounts
from infrastructure.upstreams.tmdb import TmdbCatalogue
from projections.accounts import AccountQueries


def utc_now() -> datetime:
    """The time of every decision made here."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUID version 7."""
    return uuid7()


class Secrets(msgspec.Struct, frozen=True):
    """What hangs on the secret key: who can read it can be anybody here."""

    vault: Vault
    pseudonym: KeyedPseudonym
    access_tokens: JwtAccessTokens
    refresh_tokens: OpaqueTokenMint
    api_keys: OpaqueTokenMint
    setup_tokens: OpaqueTokenMint


class UseCases(msgspec.Struct, frozen=True):
    """What can be done, with the store that keeps it."""

    store: EventStore
    executor: Executor
    secrets: Secrets
    standings: Standings
    identities: Identities
    accounts: Accounts
    sign_in: SignIn
    api_keys: ApiKeys
    setup: Setup
    alerts: Alerts
    catalogue: MediaCatalogue
    media_requests: MediaRequests
    quotas: PersonsQuotas
    forwarding: Forwarding
    upstream_news: UpstreamNews
    choices: Choices
    inboxes: Inboxes
    delivering: Delivering
    performer: Performer


class Nobody:
    """``Gate`` and ``EventFeed`` of a process that lets nobody in, and so need not hear.

    Those who do let people in hear from the store what happens here.
    """

    head = 0

    async def enter(self, visit: Visit) -> Passage:
        """Count nothing."""
        del visit
        return Passage(session=None, account=None, remaining=None, reset_after=timedelta())

    async def remember(self, standings: Iterable[Standing]) -> None:
        """Keep nothing."""

    async def subscribe(self, after: int | None = None) -> AsyncIterator[History]:
        """Hear nothing."""
        del after
        for nothing in ():
            yield nothing


@asynccontextmanager
async def open_executor(database: Database) -> AsyncGenerator[tuple[Executor, EventStore]]:
    """What carries out commands, and the store that keeps what comes of them."""
    async with GroupCommitWriter(database.url, database.codec) as writer:
        store = PostgresEventStore(writer, database.reader)
        yield Executor(store, utc_now, new_id), store


@asynccontextmanager
async def open_use_cases(
    settings: Settings,
    database: Database,
    *,
    gate: Gate | None = None,
    feed: EventFeed | None = None,
) -> AsyncGenerator[UseCases]:
    """The use cases on the real world; ``gate`` and ``feed`` for a process that lets people in.

    Raises WrongSecretKey.
    """
    nobody = Nobody()
    hasher = Argon2idHasher()
    async with (
        open_executor(database) as (executor, store),
        _secrets(settings, database) as secrets,
        _catalogue(settings) as catalogue,
        _forwarder(settings) as forwarder,
        _shelf(settings, secrets) as shelf,
        _notifiers(settings) as notifiers,
        aclosing(_plex(settings, secrets)) as plex,
    ):
        standings = Standings(executor, gate or nobody, feed or nobody, utc_now)
        identities = Identities(executor, secrets.pseudonym)
        accounts = Accounts(executor, store, identities, standings, secrets.vault, hasher, new_id)
        rules = RequestRules(auto_approve=settings.auto_approve)
        quotas = PersonsQuotas(executor, store, settings.quotas, utc_now)
        forwarding = Forwarding(executor, accounts, forwarder, utc_now, shelf=shelf)
        news = UpstreamNews(executor, forwarding, Outbox(database.pool), new_id)
        alerts = Alerts(executor, store, utc_now)
        telling = Telling(executor, store, AccountQueries(database.pool))
        delivering = Delivering(executor, secrets.vault, notifiers, alerts, utc_now, new_id)
        sign_in = SignIn(
            executor,
            identities,
            standings,
            secrets.vault,
            hasher,
            secrets.access_tokens,
            secrets.refresh_tokens,
            plex,
            utc_now,
            new_id,
        )
        try:
            async with aclosing(sign_in):
                yield UseCases(
                    store=store,
                    executor=executor,
                    secrets=secrets,
                    standings=standings,
                    identities=identities,
                    accounts=accounts,
                    sign_in=sign_in,
                    api_keys=ApiKeys(
                        executor, standings, secrets.vault, secrets.api_keys, utc_now, new_id
                    ),
                    setup=Setup(executor, accounts, secrets.setup_tokens, new_id),
                    alerts=alerts,
                    catalogue=catalogue,
                    media_requests=MediaRequests(executor, store, catalogue, quotas, rules),
                    quotas=quotas,
                    forwarding=forwarding,
                    upstream_news=news,
                    choices=Choices(executor, secrets.vault, alerts),
                    inboxes=Inboxes(executor),
                    delivering=delivering,
                    performer=Performer(forwarding, news, quotas, accounts, telling, delivering),
                )
        finally:
            hasher.close()


@asynccontextmanager
async def _secrets(settings: Settings, database: Database) -> AsyncGenerator[Secrets]:
    secret = settings.required("secret_key")
    async with open_keyring(database.pool, secret, utc_now) as keys:
        yield Secrets(
            vault=Vault(database.pool, secret),
            pseudonym=KeyedPseudonym(secret),
            access_tokens=JwtAccessTokens(keys, utc_now),
            refresh_tokens=OpaqueTokenMint(secret, "mnr"),
            api_keys=OpaqueTokenMint(secret, "mnk"),
            setup_tokens=OpaqueTokenMint(secret, "mns"),
        )


def _plex(settings: Settings, secrets: Secrets) -> PlexTvAccounts:
    return PlexTvAccounts(settings.plex_tv_url, settings.plex_url, _client_identifier(secrets))


@asynccontextmanager
async def _shelf(settings: Settings, secrets: Secrets) -> AsyncGenerator[PlexShelf | None]:
    """Without a Plex server, Overseerr alone says what is available."""
    if settings.plex_url is None or settings.plex_token is None:
        yield None
        return
    shelf = PlexShelf(settings.plex_url, settings.plex_token, _client_identifier(secrets))
    async with aclosing(shelf):
        yield shelf


def _client_identifier(secrets: Secrets) -> str:
    """Plex binds PINs and tokens to it, so it stays for as long as the installation lives."""
    return str(secrets.pseudonym("plex", "client identifier"))


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

    _REASON = "No title can be looked up without a TMDB token."

    async def look_up(self, media: Media) -> Title:
        """Raises CatalogueUnavailable."""
        del media
        raise CatalogueUnavailable(self._REASON)

    async def describe(self, media_type: MediaType, tmdb_id: int) -> TitleDetails:
        """Raises CatalogueUnavailable."""
        del media_type, tmdb_id
        raise CatalogueUnavailable(self._REASON)

    async def search(self, words: str, page: int) -> SearchPage:
        """Raises CatalogueUnavailable."""
        del words, page
        raise CatalogueUnavailable(self._REASON)


@asynccontextmanager
async def _forwarder(settings: Settings) -> AsyncGenerator[OverseerrForwarder | None]:
    """An install without Overseerr keeps its requests for an admin to fulfil by hand."""
    if settings.overseerr_url is None:
        yield None
        return
    api_key = settings.required("overseerr_api_key")
    async with aclosing(OverseerrForwarder(settings.overseerr_url, api_key)) as forwarder:
        yield forwarder


@asynccontextmanager
async def _notifiers(settings: Settings) -> AsyncGenerator[Mapping[Role, Notifier]]:
    """Only messages of admins may go to the network that the server itself stands in."""
    mail = None
    if settings.smtp_url is not None:
        mail = MailServer.parse(settings.smtp_url, settings.required("smtp_sender"))
    async with (
        aclosing(RealNotifier(utc_now, private=False, mail=mail)) as careful,
        aclosing(RealNotifier(utc_now, private=True, mail=mail)) as free,
    ):
        yield {Role.USER: careful, Role.ADMIN: free}
