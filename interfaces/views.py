"""How things look from outside, the same over HTTP and in the live streams."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec import inspect

from application.accounts import Profile
from domain.accounts import Role
from domain.kernel import SECRET, Event, Recorded
from domain.media_requests import ForwardingProblem, MediaType, RequestStatus
from projections import media_requests
from projections.media_requests import MediaRequestRow


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
    """A person with an account. Who signs in through Plex may have no e-mail address."""

    id: UUID
    email: str | None
    name: str | None
    role: Role


class PartView(msgspec.Struct, frozen=True):
    """How one part of the house is, and how long it took to find out."""

    name: str
    ok: bool
    detail: str
    milliseconds: float


def user_view(profile: Profile) -> UserView:
    """A person as they see themselves."""
    return UserView(profile.id, profile.email, profile.name, profile.role)


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
