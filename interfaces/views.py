"""How things look from outside, the same over HTTP and in the live streams."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec import inspect

from application.accounts import Profile
from application.notifications import in_words
from domain.accounts import Role
from domain.kernel import SECRET, Event, Recorded
from domain.media_requests import Episode, ForwardingProblem, MediaType, Part, RequestStatus
from domain.notifications.inbox import Subject
from domain.notifications.kinds import NoticeKind
from domain.quotas import Standing
from projections import media_requests
from projections.media_requests import MediaRequestRow
from projections.notifications import NotificationRow


class MediaRequestView(msgspec.Struct, frozen=True, rename="camel"):
    """A request. ``seasons`` is null for a film, and for a whole series.

    ``episodes`` are the only ones wanted of their seasons. It ``awaits_approval`` as a whole, or
    there is ``more`` that does while the rest goes on. ``followers`` are so many, beside who asked.
    """

    id: UUID
    media_type: MediaType
    tmdb_id: int
    is4k: bool
    title: str
    year: int | None
    poster_path: str | None
    seasons: tuple[int, ...] | None
    episodes: tuple[Episode, ...]
    note: str | None
    requested_by: UUID
    requested_at: datetime
    status: RequestStatus
    awaits_approval: bool
    more: Part | None
    decided_by: UUID | None
    reason: str | None
    followers: int
    version: int
    updated_at: datetime
    overseerr_id: int | None
    attempts: int
    problem: ForwardingProblem | None
    next_attempt_at: datetime | None


class QuotaUseView(msgspec.Struct, frozen=True, rename="camel"):
    """A request that counts against a quota, since ``at``."""

    request_id: UUID
    at: datetime


class QuotaView(msgspec.Struct, frozen=True, rename="camel"):
    """What is left of a quota: at most ``limit`` requests in any ``days`` days.

    Without a ``limit`` there is none. ``uses`` are the requests that count, oldest first;
    ``next_free_at`` is when the next place is free, while none is.
    """

    limit: int | None
    days: int | None
    remaining: int | None
    uses: tuple[QuotaUseView, ...]
    next_free_at: datetime | None


class UserView(msgspec.Struct, frozen=True):
    """A person with an account. Who signs in through Plex may have no e-mail address."""

    id: UUID
    email: str | None
    name: str | None
    role: Role


class NotificationView(msgspec.Struct, frozen=True, rename="camel"):
    """What a person was told of a request, in words; ``at`` is when it happened.

    ``position`` is where it stands in the order of events; reading all takes it.
    """

    id: UUID
    position: int
    kind: NoticeKind
    title: str
    body: str
    request_id: UUID
    at: datetime
    read: bool


class PartView(msgspec.Struct, frozen=True):
    """How one part of the house is, and how long it took to find out."""

    name: str
    ok: bool
    detail: str
    milliseconds: float


def user_view(profile: Profile) -> UserView:
    """A person as they see themselves."""
    return UserView(profile.id, profile.email, profile.name, profile.role)


def quota_view(standing: Standing) -> QuotaView:
    """A quota as people see it."""
    return QuotaView(
        limit=standing.quota and standing.quota.limit,
        days=standing.quota and standing.quota.days,
        remaining=standing.remaining,
        uses=tuple(QuotaUseView(use.request_id, use.at) for use in standing.uses),
        next_free_at=standing.free_at,
    )


def view_of(row: MediaRequestRow) -> MediaRequestView:
    """The row as people see it."""
    shown: dict[str, Any] = {
        name: getattr(row, name) for name in MediaRequestView.__struct_fields__
    }
    shown["followers"] = len(row.followers)
    return MediaRequestView(**shown)


def notification_view(row: NotificationRow, read_up_to: int = 0) -> NotificationView:
    """A notification as its person sees it, who has read all up to a position."""
    about = Subject(row.request_id, row.title, row.at, row.year, row.detail, row.awaits_approval)
    line, more = in_words(row.kind, about)
    return NotificationView(
        id=row.id,
        position=row.position,
        kind=row.kind,
        title=line,
        body=more,
        request_id=row.request_id,
        at=row.at,
        read=row.read_at is not None or row.position <= read_up_to,
    )


def row_after(
    history: Iterable[Recorded[Any]], row: MediaRequestRow | None = None
) -> MediaRequestRow | None:
    """The row of a request after ``history``, folded as its read model folds it."""
    for recorded in history:
        row = media_requests.fold(row, recorded)
    return row


def public_data(event: Event) -> dict[str, Any]:
    """The fields of an event by their public names, without its tag and its secrets."""
    hidden = secrets_of(type(event))
    data: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in data.items() if name != "type" and name not in hidden}


@cache
def secrets_of(event: type[Event]) -> frozenset[str]:
    """The public names of the fields that are marked as secret."""
    fields = cast("inspect.StructType", inspect.type_info(event)).fields
    return frozenset(field.encode_name for field in fields if _is_secret(field.type))


def _is_secret(info: inspect.Type) -> bool:
    match info:
        case inspect.Metadata():
            return cast("Any", info).extra == SECRET.extra
        case inspect.UnionType(types=arms):
            return any(_is_secret(arm) for arm in arms)
        case _:
            return False
