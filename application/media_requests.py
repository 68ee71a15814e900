"""Asking for films and series, and telling Overseerr about it."""

from uuid import UUID

import msgspec

from application.effects import ForwardRequest, Job
from application.execute import Context, Executed, Executor
from application.ports import (
    Clock,
    EventStore,
    ForwardingFailure,
    MediaCatalogue,
    RequestForwarder,
)
from domain.kernel import History
from domain.media_requests import (
    Media,
    MediaRequest,
    NotRequested,
    RecordForwarding,
    RecordForwardingFailure,
    RequestMedia,
    RequestStatus,
    UnknownSeasons,
    media_request_id,
    media_requests,
)


class Wish(msgspec.Struct, frozen=True):
    """What a person asks for. No ``seasons`` of a series means all of it."""

    media: Media
    seasons: tuple[int, ...] | None = None
    note: str | None = None


class MediaRequests:
    """The use cases of media requests."""

    def __init__(
        self,
        executor: Executor,
        store: EventStore,
        catalogue: MediaCatalogue,
        forwarder: RequestForwarder | None,
        clock: Clock,
    ) -> None:
        self._executor = executor
        self._store = store
        self._catalogue = catalogue
        self._forwarder = forwarder
        self._clock = clock

    async def request_media(
        self, wish: Wish, requested_by: UUID, context: Context
    ) -> tuple[UUID, Executed[MediaRequest]]:
        """Ask for a title; answers once the request is durable, before Overseerr knows of it.

        The title is looked up before anything is stored, so a request always has a name. Raises
        AlreadyRequested, UnknownSeasons, UnknownTitle, CatalogueUnavailable, and what the executor
        raises.
        """
        request_id = media_request_id(wish.media)
        title = await self._catalogue.look_up(wish.media)
        unknown = set(wish.seasons or ()).difference(title.seasons)
        if unknown:
            raise UnknownSeasons(title.name, unknown)
        command = RequestMedia(
            media=wish.media,
            title=title.name,
            requested_by=requested_by,
            year=title.year,
            poster_path=title.poster_path,
            tvdb_id=title.tvdb_id,
            seasons=wish.seasons,
            note=wish.note,
        )
        return request_id, await self._executor.execute(
            media_requests, request_id, command, context
        )

    async def history(self, request_id: UUID) -> History:
        """Every event of a request, in order. Raises NotRequested."""
        history = await self._store.read_stream(request_id)
        if not history or not media_requests.owns(history[0].event):
            raise NotRequested
        return history

    async def forward_request(self, effect: ForwardRequest, job: Job) -> None:
        """Make sure that Overseerr has the request, and record what came of it.

        Whether it is there already is asked first: an earlier attempt may have been cut off between
        Overseerr's doing and our recording it.
        """
        request = await self._executor.state(media_requests, effect.request_id)
        if self._forwarder is None or request is None:
            return
        if request.status is not RequestStatus.PENDING:
            return
        outcome: RecordForwarding | RecordForwardingFailure
        try:
            found = await self._forwarder.find(request)
            overseerr_id = await self._forwarder.submit(request) if found is None else found
            outcome = RecordForwarding(overseerr_id, already_there=found is not None)
        except ForwardingFailure as failure:
            outcome = RecordForwardingFailure(
                failure.problem, str(failure), self._clock(), failure.retry_after
            )
        context = job.context("system:forward_requests", "outcome")
        await self._executor.execute(media_requests, effect.request_id, outcome, context)
