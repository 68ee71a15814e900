"""What people do with requests."""

from uuid import UUID

import msgspec

from application.execute import Context, Executed, Executor
from application.ports import EventStore, MediaCatalogue, Title
from application.quotas import PersonsQuotas
from domain.accounts import Role
from domain.kernel import DomainError, History
from domain.media_requests import (
    Episode,
    Media,
    MediaRequest,
    NotRequested,
    Part,
    PersonsCommand,
    RequestMedia,
    UnknownSeasons,
    media_request_id,
    media_requests,
)

SPECIALS = 0
"""The season that a whole series does not include, here as at Overseerr."""


class Wish(msgspec.Struct, frozen=True):
    """What a person asks for: of a series whole seasons, single episodes, or all of it."""

    media: Media
    seasons: tuple[int, ...] | None = None
    note: str | None = None
    episodes: tuple[Episode, ...] = ()


class RequestRules(msgspec.Struct, frozen=True):
    """What this house has decided: whether requests of users go ahead without an admin's word."""

    auto_approve: bool = True

    def needs_approval(self, role: Role) -> bool:
        """Whether an admin has to say yes to what somebody of the role asks for."""
        return role is not Role.ADMIN and not self.auto_approve


class MediaRequests:
    """The use cases of media requests."""

    def __init__(
        self,
        executor: Executor,
        store: EventStore,
        catalogue: MediaCatalogue,
        quotas: PersonsQuotas,
        rules: RequestRules | None = None,
    ) -> None:
        self._executor = executor
        self._store = store
        self._catalogue = catalogue
        self._quotas = quotas
        self._rules = rules or RequestRules()

    async def request_media(
        self, wish: Wish, requested_by: UUID, context: Context, *, role: Role = Role.USER
    ) -> tuple[UUID, Executed[MediaRequest]]:
        """Ask for a title; answers once the request is durable, before Overseerr knows of it.

        What an active request for a series does not have yet is added to it. The title is looked up
        before anything is stored, so a request always has a name. Raises AlreadyRequested,
        UnknownSeasons, QuotaUsedUp, UnknownTitle, CatalogueUnavailable, and what the executor
        raises.
        """
        request_id = media_request_id(wish.media)
        command = _asking(wish, await self._catalogue.look_up(wish.media), requested_by)
        if self._rules.needs_approval(role):
            command = msgspec.structs.replace(command, needs_approval=True)
        if await self._quotas.applies_to(requested_by, role, wish.media.media_type):
            return request_id, await self._request_counted(request_id, command, context)
        return request_id, await self._request(request_id, command, context)

    async def change(
        self, request_id: UUID, command: PersonsCommand, context: Context
    ) -> Executed[MediaRequest]:
        """Decide on a request, end it, follow it, or go on with it.

        Raises NotRequested, RequestOver, NotDeclined, NotFailed, and what the executor raises.
        """
        return await self._executor.execute(media_requests, request_id, command, context)

    async def find(self, request_id: UUID) -> MediaRequest:
        """A request as it stands. Raises NotRequested."""
        request = await self._executor.state(media_requests, request_id)
        if request is None:
            raise NotRequested
        return request

    async def history(self, request_id: UUID) -> History:
        """Every event of a request, in order. Raises NotRequested."""
        history = await self._store.read_stream(request_id)
        if not history or not media_requests.owns(history[0].event):
            raise NotRequested
        return history

    async def _request(
        self, request_id: UUID, command: RequestMedia, context: Context
    ) -> Executed[MediaRequest]:
        return await self._executor.execute(media_requests, request_id, command, context)

    async def _request_counted(
        self, request_id: UUID, command: RequestMedia, context: Context
    ) -> Executed[MediaRequest]:
        """Take a place first, so that it is never taken twice; and give it back if it is in vain.

        What is refused anyway takes none. A place that is left behind by a process that dies is
        given back when it is settled.
        """
        history = await self._store.read_stream(request_id)
        if any(recorded.metadata.command_id == context.command_id for recorded in history):
            return await self._request(request_id, command, context)
        media_requests.decide(command, await self._executor.state(media_requests, request_id))
        account_id, media_type = command.requested_by, command.media.media_type
        await self._quotas.use(account_id, media_type, request_id, context)
        try:
            return await self._request(request_id, command, context)
        except DomainError:  # somebody was faster
            await self._quotas.give_back(account_id, context.command_id, context)
            raise


def _asking(wish: Wish, title: Title, requested_by: UUID) -> RequestMedia:
    part = Part.of(wish.seasons, wish.episodes)
    unknown = set(part.seasons or ()).difference(title.seasons)
    if unknown:
        raise UnknownSeasons(title.name, unknown)
    return RequestMedia(
        media=wish.media,
        title=title.name,
        requested_by=requested_by,
        year=title.year,
        poster_path=title.poster_path,
        tvdb_id=title.tvdb_id,
        seasons=part.seasons,
        note=wish.note,
        episodes=part.episodes,
        all_seasons=tuple(season for season in title.seasons if season != SPECIALS),
    )
