"""How things look from outside, the same over HTTP and in the live streams."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.accounts import AccountOpened, Role
from domain.kernel import Event, Recorded, Unreadable
from domain.media_requests import ForwardingProblem, MediaType, RequestStatus
from projections import media_requests
from projections.media_requests import MediaRequestRow

SECRETS: dict[type[Event], frozenset[str]] = {
    AccountOpened: frozenset({"passwordHash"}),
    Unreadable: frozenset({"reason"}),
}
"""Fields of events that leave the house in no stream, to nobody."""


class MediaRequestView(msgspec.Struct, frozen=True, rename="camel"):
    """A request. ``seasons`` is null for a film, and for a whole series."""

    id: UUID
    media_type: MediaType
    tmdb_id: int
    is4k: bool
    title: str
    year: int | None
    poster_path: str | None
    seasons: tuple[int, ...] | None
    note: str | None
    requested_by: UUID
    requested_at: datetime
    status: RequestStatus
    version: int
    updated_at: datetime
    overseerr_id: int | None
    attempts: int
    problem: ForwardingProblem | None
    next_attempt_at: datetime | None


class UserView(msgspec.Struct, frozen=True):
    """A person with an account."""

    id: UUID
    email: str
    role: Role


class PartView(msgspec.Struct, frozen=True):
    """How one part of the house is, and how long it took to find out."""

    name: str
    ok: bool
    detail: str
    milliseconds: float


def view_of(row: MediaRequestRow) -> MediaRequestView:
    """The row as people see it."""
    return msgspec.convert(row, MediaRequestView, from_attributes=True)


def row_after(
    history: Iterable[Recorded[Any]], row: MediaRequestRow | None = None
) -> MediaRequestRow | None:
    """The row of a request after ``history``, folded as its read model folds it."""
    for recorded in history:
        row = media_requests.fold(row, recorded)
    return row


def public_data(event: Event) -> dict[str, Any]:
    """The fields of an event by their public names, without its tag and its secrets."""
    hidden = SECRETS.get(type(event), frozenset())
    data: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in data.items() if name != "type" and name not in hidden}
