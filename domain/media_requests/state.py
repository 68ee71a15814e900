"""What the decisions about a request depend on, and how events change it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.media_requests import events as e
from domain.media_requests.media import ACTIVE, Episode, Media, Part, RequestStatus


class MediaRequest(msgspec.Struct, frozen=True):
    """A request as it stands.

    ``revision`` grows whenever there is more, or something else, to tell Overseerr; attempts are
    counted anew then. ``made_there`` are the requests that we have made at Overseerr and that stand
    as far as we know; of all there, ``overseerr_id`` is the one that is followed. ``more`` waits
    for approval while the rest goes on. ``told`` have heard that it is available.
    """

    media: Media
    title: str
    requested_by: UUID
    year: int | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] | None = None
    status: RequestStatus = RequestStatus.PENDING
    overseerr_id: int | None = None
    attempts: int = 0
    first_failed_at: datetime | None = None
    episodes: tuple[Episode, ...] = ()
    all_seasons: tuple[int, ...] = ()
    revision: int = 1
    made_there: tuple[int, ...] = ()
    followers: tuple[UUID, ...] = ()
    told: tuple[UUID, ...] = ()
    more: Part | None = None
    more_by: tuple[UUID, ...] = ()
    on_shelf: Part | None = None

    @property
    def part(self) -> Part:
        """What is wanted of the title, beside what waits for approval."""
        return Part(self.seasons, self.episodes)

    @property
    def active(self) -> bool:
        """Whether it is neither ended nor fulfilled."""
        return self.status in ACTIVE

    @property
    def untold(self) -> tuple[UUID, ...]:
        """Who is to be told that it is available, and has not been."""
        everybody = (self.requested_by, *self.followers)
        return tuple(person for person in everybody if person not in self.told)

    @property
    def unwanted(self) -> bool:
        """Whether Overseerr should have nothing of it."""
        return self.status in _UNWANTED

    @property
    def to_cancel(self) -> tuple[int, ...]:
        """What Overseerr shall let go of."""
        return self.made_there if self.unwanted else ()

    def hears(self, person: UUID) -> bool:
        """Whether the person has asked for it or follows it."""
        return person in (self.requested_by, *self.followers, *self.more_by)


_UNWANTED = frozenset(
    {
        RequestStatus.AWAITING_APPROVAL,
        RequestStatus.DECLINED,
        RequestStatus.WITHDRAWN,
        RequestStatus.CANCELLED,
    }
)

_STATUSES: dict[type[e.MediaRequestEvent], RequestStatus] = {
    e.MediaRequestDeclined: RequestStatus.DECLINED,
    e.MediaRequestReopened: RequestStatus.AWAITING_APPROVAL,
    e.MediaRequestWithdrawn: RequestStatus.WITHDRAWN,
    e.MediaRequestCancelled: RequestStatus.CANCELLED,
    e.MediaRequestForwarded: RequestStatus.FORWARDED,
    e.ForwardingAbandoned: RequestStatus.FAILED,
    e.UpstreamDeclined: RequestStatus.DECLINED,
    e.UpstreamFailed: RequestStatus.FAILED,
    e.UpstreamMissing: RequestStatus.FAILED,
    e.UpstreamResumed: RequestStatus.FORWARDED,
    e.MediaRequestPartlyAvailable: RequestStatus.PARTLY_AVAILABLE,
    e.MediaRequestAvailable: RequestStatus.AVAILABLE,
    e.MediaRequestRemoved: RequestStatus.REMOVED,
}
"""The status after an event, whatever it was before; other events leave it, or look at it."""


def evolve(request: MediaRequest | None, event: e.MediaRequestEvent) -> MediaRequest | None:
    """The request after ``event``."""
    if isinstance(event, e.MediaRequested):
        return _requested(request, event)
    if request is None:
        return None
    status = _STATUSES.get(type(event), request.status)
    return msgspec.structs.replace(request, **{"status": status, **_changes(request, event)})


def _requested(before: MediaRequest | None, event: e.MediaRequested) -> MediaRequest:
    """A new request; of an earlier one for the title stays what Overseerr and the shelf have."""
    awaiting = event.needs_approval
    return MediaRequest(
        media=event.media,
        title=event.title,
        requested_by=event.requested_by,
        year=event.year,
        tvdb_id=event.tvdb_id,
        seasons=event.seasons,
        episodes=event.episodes,
        all_seasons=event.all_seasons,
        status=RequestStatus.AWAITING_APPROVAL if awaiting else RequestStatus.PENDING,
        revision=before.revision + 1 if before else 1,
        made_there=before.made_there if before else (),
        on_shelf=before.on_shelf if before else None,
    )


def _changes(request: MediaRequest, event: e.MediaRequestEvent) -> dict[str, Any]:
    """What else the event changes."""
    changes: dict[str, Any] = {}
    match event:
        case e.MediaRequestExtended():
            changes = _extended(request, event)
        case e.MediaRequestApproved():
            wanted = _wanting(request, request.more, request.more_by) if request.more else {}
            changes = wanted | _anew(request) | _NO_MORE
        case e.ExtensionDeclined():
            changes = _NO_MORE
        case e.MediaRequestDeclined() | e.MediaRequestWithdrawn() | e.MediaRequestCancelled():
            changes = _NO_MORE | _UNTRIED
        case e.MediaRequestFollowed(by):
            changes = {"followers": (*request.followers, by)}
        case e.MediaRequestUnfollowed(by):
            changes = {"followers": _without(by, request.followers)}
        case e.ForwardingRetried():
            changes = _anew(request)
        case e.MediaRequestAvailable(tell):
            changes = {"told": (*request.told, *tell), "on_shelf": _shelf(request)}
        case e.MediaRequestRemoved():
            changes = {"on_shelf": None}
        case _:
            changes = _changes_there(request, event)
    return changes


def _changes_there(request: MediaRequest, event: e.MediaRequestEvent) -> dict[str, Any]:
    """What the event changes in what is known of Overseerr."""
    changes: dict[str, Any] = {}
    match event:
        case e.MediaRequestForwarded(overseerr_id, already_there):
            made = _made_there(request, overseerr_id, ours=not already_there)
            changes = {"overseerr_id": overseerr_id, "made_there": made}
        case e.ForwardedInPart(overseerr_id, already_there):
            made = _made_there(request, overseerr_id, ours=not already_there)
            changes = {"overseerr_id": request.overseerr_id or overseerr_id, "made_there": made}
        case e.ForwardedTooLate(overseerr_id, already_there):
            made = _made_there(request, overseerr_id, ours=not already_there)
            changes = {"made_there": made, **_UNTRIED}
        case e.ForwardingFailed(attempt, failed_at=failed_at) | e.CancellingFailed(
            attempt, failed_at=failed_at
        ):
            first = request.first_failed_at or failed_at
            changes = {"attempts": attempt, "first_failed_at": first}
        case e.ForwardingAbandoned(attempt) | e.CancellingAbandoned(attempt):
            changes = {"attempts": attempt}
        case e.ForwardingCancelled(overseerr_id) | e.UpstreamMissing(overseerr_id):
            changes = {"made_there": _without(overseerr_id, request.made_there)}
        case _:
            pass
    return changes


def _extended(request: MediaRequest, event: e.MediaRequestExtended) -> dict[str, Any]:
    more, by = Part(event.seasons, event.episodes), event.requested_by
    if not event.needs_approval:
        awaiting = request.status is RequestStatus.AWAITING_APPROVAL
        return _wanting(request, more, (by,)) | ({} if awaiting else _anew(request))
    if request.status is RequestStatus.AWAITING_APPROVAL:
        return _wanting(request, more, (by,))
    return {
        "more": request.more.and_(more) if request.more else more,
        "more_by": (*_without(by, request.more_by), by),
    }


def _wanting(request: MediaRequest, more: Part, people: tuple[UUID, ...]) -> dict[str, Any]:
    """With more wanted by people, who are to hear of it even if they were told of the rest."""
    part = request.part.and_(more)
    followers = dict.fromkeys((*request.followers, *people))
    return {
        "seasons": part.seasons,
        "episodes": part.episodes,
        "followers": _without(request.requested_by, followers),
        "told": tuple(person for person in request.told if person not in people),
    }


_UNTRIED: dict[str, Any] = {"attempts": 0, "first_failed_at": None}
_NO_MORE: dict[str, Any] = {"more": None, "more_by": ()}


def _anew(request: MediaRequest) -> dict[str, Any]:
    """On its way to Overseerr, as if it had never been tried."""
    return {"status": RequestStatus.PENDING, "revision": request.revision + 1, **_UNTRIED}


def _shelf(request: MediaRequest) -> Part:
    """What is on the shelf once the request is fulfilled."""
    whole_series = request.seasons is None and request.all_seasons
    part = Part(request.all_seasons) if whole_series else request.part
    return request.on_shelf.and_(part) if request.on_shelf else part


def _made_there(request: MediaRequest, overseerr_id: int, *, ours: bool) -> tuple[int, ...]:
    if not ours or overseerr_id in request.made_there:
        return request.made_there
    return (*request.made_there, overseerr_id)


def _without(one: Any, many: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(each for each in many if each != one)
