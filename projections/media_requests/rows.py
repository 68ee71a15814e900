"""A row for each request, as people see it and as decisions do.

What an event means is told once, in ``domain.media_requests``: a row holds every field of the
request's state, and is folded by the same function. Beside it stands what only people ask for.
"""

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec

from domain.kernel import Recorded
from domain.media_requests import (
    CancellingAbandoned,
    CancellingFailed,
    Episode,
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    ForwardingRetried,
    Media,
    MediaRequest,
    MediaRequestApproved,
    MediaRequestAvailable,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequested,
    MediaRequestEvent,
    MediaRequestForwarded,
    MediaRequestReopened,
    MediaRequestWithdrawn,
    MediaType,
    Part,
    RequestStatus,
    UpstreamDeclined,
    UpstreamFailed,
    UpstreamMissing,
    UpstreamResumed,
    evolve,
    media_requests,
)
from projections.kernel import Key, ReadModel
from projections.media_requests.words import sort_key, words_of


class MediaRequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request. The positions order the list: by its asking, and by its last event.

    ``reason`` is why it was declined or cancelled, by ``decided_by``. It ``awaits_approval`` as a
    whole, or there is ``more`` that does.
    """

    id: UUID
    requested_position: int
    updated_position: int
    media_type: MediaType
    tmdb_id: int
    is4k: bool
    sort_title: str
    words: str
    poster_path: str | None
    note: str | None
    requested_at: datetime
    version: int
    updated_at: datetime
    awaits_approval: bool
    problem: ForwardingProblem | None = None
    next_attempt_at: datetime | None = None
    decided_by: UUID | None = None
    reason: str | None = None
    # The state, field by field
    title: str
    requested_by: UUID
    year: int | None
    tvdb_id: int | None
    seasons: tuple[int, ...] | None
    status: RequestStatus
    overseerr_id: int | None
    attempts: int
    first_failed_at: datetime | None
    episodes: tuple[Episode, ...]
    all_seasons: tuple[int, ...]
    revision: int
    made_there: tuple[int, ...]
    followers: tuple[UUID, ...]
    told: tuple[UUID, ...]
    more: Part | None
    more_by: tuple[UUID, ...]
    on_shelf: Part | None

    @property
    def hearers(self) -> tuple[UUID, ...]:
        """Who has asked for it or follows it, and so may see it."""
        return (self.requested_by, *self.followers, *self.more_by)


_MEDIA, *_SHARED = MediaRequest.__struct_fields__
_of_row = attrgetter(*_SHARED)


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A request's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: MediaRequestRow | None, recorded: Recorded[Any]) -> MediaRequestRow | None:
    """The row after the event; a title that is asked for anew begins a new one."""
    event = recorded.event
    request = evolve(None if row is None else _request(row), event)
    if request is None:
        raise LookupError(f"{type(event).__name__} without a request")
    shared = dict(zip(_SHARED, _of_row(request), strict=True))
    shared["awaits_approval"] = (
        request.status is RequestStatus.AWAITING_APPROVAL or request.more is not None
    )
    stamp = {
        "version": recorded.version,
        "updated_at": recorded.at,
        "updated_position": recorded.position,
    }
    if isinstance(event, MediaRequested):
        return _requested(event, recorded, shared | stamp)
    if row is None:
        raise LookupError(f"{type(event).__name__} without a request")
    return msgspec.structs.replace(row, **shared, **stamp, **_seen(event))


def _request(row: MediaRequestRow) -> MediaRequest:
    return MediaRequest(Media(row.media_type, row.tmdb_id, row.is4k), *_of_row(row))


def _requested(
    event: MediaRequested, recorded: Recorded[Any], fields: dict[str, Any]
) -> MediaRequestRow:
    return MediaRequestRow(
        id=recorded.stream_id,
        requested_position=recorded.position,
        requested_at=recorded.at,
        media_type=event.media.media_type,
        tmdb_id=event.media.tmdb_id,
        is4k=event.media.is4k,
        sort_title=sort_key(event.title),
        words=" ".join(dict.fromkeys(words_of(event.title))),
        poster_path=event.poster_path,
        note=event.note,
        **fields,
    )


_WELL: dict[str, Any] = {"problem": None, "next_attempt_at": None}


def _seen(event: MediaRequestEvent) -> dict[str, Any]:
    """What people see of the event, beside the state."""
    seen: dict[str, Any] = {}
    match event:
        case (
            ForwardingFailed(problem=problem, retry_at=retry_at)
            | CancellingFailed(problem=problem, retry_at=retry_at)
        ):
            seen = {"problem": problem, "next_attempt_at": retry_at}
        case ForwardingAbandoned(problem=problem) | CancellingAbandoned(problem=problem):
            seen = {"problem": problem, "next_attempt_at": None}
        case UpstreamFailed():
            seen = _WELL | {"problem": ForwardingProblem.FAILED_THERE}
        case UpstreamMissing():
            seen = _WELL | {"problem": ForwardingProblem.VANISHED}
        case MediaRequestDeclined(by, reason) | MediaRequestCancelled(by, reason):
            seen = _WELL | {"decided_by": by, "reason": reason}
        case MediaRequestApproved(by):
            seen = _WELL | {"decided_by": by, "reason": None}
        case MediaRequestReopened() | UpstreamDeclined():
            seen = _WELL | {"decided_by": None, "reason": None}
        case (
            MediaRequestForwarded()
            | ForwardingRetried()
            | MediaRequestWithdrawn()
            | MediaRequestAvailable()
            | UpstreamResumed()
        ):
            seen = _WELL
        case _:
            pass
    return seen


WORDS_INDEXED = "array_to_tsvector(string_to_array(words, ' '))"

MEDIA_REQUESTS: ReadModel[MediaRequestRow] = ReadModel(
    name="media_requests",
    version=2,
    row=MediaRequestRow,
    key=("id",),
    events=media_requests.events,
    keys=keys,
    fold=fold,
    indexes=(
        "requested_position",
        "requested_by, requested_position",
        "status, requested_position",
        "updated_position",
        'sort_title COLLATE "C", requested_position',
    ),
    other_indexes=(
        "(requested_position) WHERE awaits_approval",
        "(overseerr_id) WHERE overseerr_id IS NOT NULL",
        "USING gin (followers jsonb_path_ops) WHERE followers <> '[]'",
        f"USING gin ({WORDS_INDEXED})",
    ),
)
