"""What the Overseerr stand-in keeps: people, media and requests, in Overseerr's own shapes."""

from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from typing import Any, Literal

import msgspec

from infrastructure.stand_ins.titles import MediaType, Title


class Permission(IntFlag):
    """Overseerr's permission bits, as far as requests need them."""

    ADMIN = 2
    MANAGE_USERS = 8
    MANAGE_REQUESTS = 16
    REQUEST = 32
    AUTO_APPROVE = 128
    AUTO_APPROVE_MOVIE = 256
    AUTO_APPROVE_TV = 512
    REQUEST_4K = 1024
    REQUEST_4K_MOVIE = 2048
    REQUEST_4K_TV = 4096
    REQUEST_VIEW = 16384
    AUTO_APPROVE_4K = 32768
    AUTO_APPROVE_4K_MOVIE = 65536
    AUTO_APPROVE_4K_TV = 131072
    REQUEST_MOVIE = 262144
    REQUEST_TV = 524288
    MANAGE_BLOCKLIST = 268435456


class Notification(IntFlag):
    """Overseerr's kinds of notifications, as far as they are about requests."""

    MEDIA_PENDING = 2
    MEDIA_APPROVED = 4
    MEDIA_AVAILABLE = 8
    MEDIA_FAILED = 16
    TEST_NOTIFICATION = 32
    MEDIA_DECLINED = 64
    MEDIA_AUTO_APPROVED = 128


class RequestStatus(IntEnum):
    """The status of a request; COMPLETED is Seerr's and the last Overseerr's."""

    PENDING = 1
    APPROVED = 2
    DECLINED = 3
    FAILED = 4
    COMPLETED = 5


class MediaStatus(IntEnum):
    """The status of a title in one quality; the last two are Seerr's."""

    UNKNOWN = 1
    PENDING = 2
    PROCESSING = 3
    PARTIALLY_AVAILABLE = 4
    AVAILABLE = 5
    BLOCKLISTED = 6
    DELETED = 7


FINISHED = frozenset({RequestStatus.DECLINED, RequestStatus.COMPLETED})
"""Requests that do not stand in the way of a new one."""


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


class User(msgspec.Struct, rename="camel"):
    """A person. Quota limits count films, or seasons; ``None`` and 0 are no limit."""

    id: int
    email: str
    display_name: str
    permissions: int
    plex_id: int | None = None
    user_type: int = 1
    movie_quota_limit: int | None = None
    movie_quota_days: int | None = None
    tv_quota_limit: int | None = None
    tv_quota_days: int | None = None
    created_at: datetime = msgspec.field(default_factory=now)

    def may(self, *any_of: Permission) -> bool:
        """Whether they have one of the permissions; an admin has all."""
        return bool(self.permissions & (Permission.ADMIN | sum(any_of)))


class MediaSeason(msgspec.Struct, rename="camel"):
    """A season that a scan has found, wholly or in part."""

    id: int
    season_number: int
    status: MediaStatus = MediaStatus.UNKNOWN
    status4k: MediaStatus = MediaStatus.UNKNOWN


class Media(msgspec.Struct, rename="camel"):
    """A title that somebody has asked for, or may not ask for."""

    id: int
    media_type: MediaType
    tmdb_id: int
    tvdb_id: int | None = None
    status: MediaStatus = MediaStatus.UNKNOWN
    status4k: MediaStatus = MediaStatus.UNKNOWN
    rating_key: str | None = None
    seasons: list[MediaSeason] = []
    created_at: datetime = msgspec.field(default_factory=now)
    updated_at: datetime = msgspec.field(default_factory=now)

    def status_in(self, *, is4k: bool) -> MediaStatus:
        """The status in that quality."""
        return self.status4k if is4k else self.status

    def set_status(self, status: MediaStatus, *, is4k: bool) -> None:
        """Change the status in that quality."""
        if is4k:
            self.status4k = status
        else:
            self.status = status
        self.updated_at = now()

    def find_season(self, number: int, *, is4k: bool) -> None:
        """The season is on the shelf in that quality, whole."""
        season = next((known for known in self.seasons if known.season_number == number), None)
        if season is None:
            season = MediaSeason(self.id * 1000 + number, number)
            self.seasons.append(season)
        if is4k:
            season.status4k = MediaStatus.AVAILABLE
        else:
            season.status = MediaStatus.AVAILABLE

    def has_seasons(self, numbers: set[int], *, is4k: bool) -> bool:
        """Whether all of them are on the shelf in that quality."""
        there = {
            season.season_number
            for season in self.seasons
            if (season.status4k if is4k else season.status) is MediaStatus.AVAILABLE
        }
        return numbers <= there


class SeasonRequest(msgspec.Struct, rename="camel"):
    """A season that was asked for."""

    id: int
    season_number: int
    status: RequestStatus


class MediaRequest(msgspec.Struct, rename="camel", kw_only=True):
    """A request."""

    id: int
    status: RequestStatus
    type: MediaType
    is4k: bool
    media: Media
    requested_by: User
    modified_by: User | None = None
    seasons: list[SeasonRequest] = []
    is_auto_request: bool = False
    created_at: datetime = msgspec.field(default_factory=now)
    updated_at: datetime = msgspec.field(default_factory=now)

    def move_to(self, status: RequestStatus, by: User | None = None) -> None:
        """Change the status of the request and of its seasons."""
        self.status = status
        for season in self.seasons:
            season.status = status
        self.modified_by = by or self.modified_by
        self.updated_at = now()


class NewRequest(msgspec.Struct, rename="camel"):
    """The body of ``POST /request``; properties that are not named here are allowed, too."""

    media_type: MediaType
    media_id: int
    tvdb_id: int | None = None
    seasons: list[int] | Literal["all"] | None = None
    is4k: bool | None = None
    user_id: int | None = None


class NewUser(msgspec.Struct, rename="camel"):
    """The body of ``POST /user``."""

    email: str
    username: str = ""
    permissions: int = Permission.REQUEST


class QuotaSettings(msgspec.Struct, rename="camel"):
    """The part of ``POST /user/{id}/settings/main`` that limits people."""

    movie_quota_limit: int | None = None
    movie_quota_days: int | None = None
    tv_quota_limit: int | None = None
    tv_quota_days: int | None = None


class SeasonNumber(msgspec.Struct, rename="camel"):
    """A season that ``POST /media/{id}/available`` names."""

    season_number: int


class OnShelf(msgspec.Struct, rename="camel"):
    """The body of ``POST /media/{id}/{status}``."""

    is4k: bool = False
    seasons: list[SeasonNumber] = []


class WebhookOptions(msgspec.Struct, rename="camel"):
    """Where notifications go, and what ``Authorization`` they show."""

    webhook_url: str = ""
    auth_header: str = ""
    json_payload: str = ""


class WebhookSettings(msgspec.Struct):
    """The body of ``POST /settings/notifications/webhook``: the one slot for a webhook.

    ``types`` is the sum of the ``Notification`` kinds that are wanted.
    """

    enabled: bool = False
    types: int = 0
    options: WebhookOptions = msgspec.field(default_factory=WebhookOptions)


class Blocked(msgspec.Struct, rename="camel"):
    """The body of ``POST /blocklist``."""

    tmdb_id: int
    media_type: MediaType


def film_details(title: Title) -> dict[str, Any]:
    """What ``GET /movie/{id}`` says of any film."""
    return {
        "id": title.tmdb_id,
        "title": title.name,
        "releaseDate": title.iso_date,
        "posterPath": title.poster_path,
    }


def series_details(title: Title) -> dict[str, Any]:
    """What ``GET /tv/{id}`` says of any series."""
    return {
        "id": title.tmdb_id,
        "name": title.name,
        "firstAirDate": title.iso_date,
        "posterPath": title.poster_path,
        "numberOfSeasons": sum(number > 0 for number, _ in title.seasons),
        "seasons": [
            {"seasonNumber": number, "episodeCount": episodes} for number, episodes in title.seasons
        ],
    }
