"""How Overseerr and Seerr write requests, and how to read them.

Source: ``server/entity/MediaRequest.ts`` and ``Media.ts``, ``server/constants/media.ts`` of both.
Their statuses are numbers; one that a newer version adds is no error, and tells nothing: a request
that has it is neither declined nor gone.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from domain.media_requests import MediaRequest, MediaType, UpstreamStatus

PENDING, APPROVED, DECLINED, FAILED, COMPLETED = range(1, 6)
"""Statuses of a request; the last is Seerr's and the last Overseerr's."""
PARTIALLY_AVAILABLE = 4
AVAILABLE = 5
DELETED = 7
"""Statuses of a title or of a season, in one quality. The last was on the shelf, and is no longer;
it is Seerr's, whatever its ``seerr-api.yml`` says of 6."""

_STANDING = {
    PENDING: UpstreamStatus.WAITING,
    APPROVED: UpstreamStatus.UNDER_WAY,
    FAILED: UpstreamStatus.FAILED,
    COMPLETED: UpstreamStatus.AVAILABLE,
}


class NewRequest(msgspec.Struct, rename="camel"):
    """The body of ``POST /request``."""

    media_type: MediaType
    media_id: int
    is4k: bool  # always sent: without it Overseerr takes every duplicate
    seasons: tuple[int, ...] | Literal["all"] | UnsetType = UNSET
    tvdb_id: int | UnsetType = UNSET

    @classmethod
    def of(cls, request: MediaRequest) -> "NewRequest":
        """What asks for the same."""
        media = request.media
        series = media.media_type is MediaType.TV
        return cls(
            media_type=media.media_type,
            media_id=media.tmdb_id,
            is4k=media.is4k,
            seasons=(request.seasons or "all") if series else UNSET,
            tvdb_id=request.tvdb_id or UNSET,
        )


class Made(msgspec.Struct):
    """What a request that was made has at least."""

    id: int


class Account(msgspec.Struct):
    """A person; who signs in through Plex may hide their e-mail address."""

    id: int
    email: str | None = None


class PageInfo(msgspec.Struct):
    """How many there are on all pages."""

    results: int


class Accounts(msgspec.Struct, rename="camel"):
    """A page of ``GET /user``."""

    page_info: PageInfo
    results: list[Account]


class Error(msgspec.Struct):
    """What is not 2xx. A bad key has an ``error``, all else a ``message``."""

    message: str = ""
    error: str | None = None


class _Season(msgspec.Struct, rename="camel"):
    season_number: int
    episode_count: int = 0
    status: int = 0
    status4k: int = 0


class _Request(msgspec.Struct, rename="camel"):
    id: int
    status: int
    is4k: bool
    seasons: list[_Season] = []

    def season_numbers(self) -> set[int]:
        return {season.season_number for season in self.seasons}


class _Media(msgspec.Struct, rename="camel"):
    status: int
    status4k: int
    seasons: list[_Season] = []

    def status_in(self, *, is4k: bool) -> int:
        return self.status4k if is4k else self.status

    def seasons_at(self, *statuses: int, is4k: bool) -> set[int]:
        return {
            season.season_number
            for season in self.seasons
            if (season.status4k if is4k else season.status) in statuses
        }


class Standing(_Request, kw_only=True):
    """``GET /request/{id}``, with the title that it is for."""

    media: _Media

    def read(self, seasons: Iterable[int] | None) -> UpstreamStatus:
        """How it stands; of a series, what is available is about ``seasons``, else about its own.

        A title that is there is there, even if the request for it failed or waits. One that is
        there in part is so only as long as nothing worse can be said.
        """
        if self.status == DECLINED:
            return UpstreamStatus.DECLINED
        wanted = self.season_numbers() if seasons is None else set(seasons)
        shelf = self._on_shelf(wanted)
        if shelf is UpstreamStatus.AVAILABLE:
            return shelf
        if self.status == FAILED:
            return UpstreamStatus.FAILED
        if shelf is not None:
            return shelf
        return _STANDING.get(self.status, UpstreamStatus.UNKNOWN)

    def _on_shelf(self, wanted: set[int]) -> UpstreamStatus | None:
        media, is4k = self.media, self.is4k
        status = media.status_in(is4k=is4k)
        whole = media.seasons_at(AVAILABLE, is4k=is4k)
        begun = whole | media.seasons_at(PARTIALLY_AVAILABLE, is4k=is4k)
        if status == AVAILABLE or (wanted and wanted <= whole):
            return UpstreamStatus.AVAILABLE
        if status == DELETED and self.status == COMPLETED:
            return UpstreamStatus.DELETED
        # An Overseerr that tells of no season at all may still know that there are some.
        if wanted & begun or (status == PARTIALLY_AVAILABLE and not media.seasons):
            return UpstreamStatus.PARTLY_AVAILABLE
        return None


class _MediaInfo(_Media, rename="camel"):
    requests: list[_Request] = []


class Title(msgspec.Struct, rename="camel"):
    """``GET /movie/{id}`` and ``GET /tv/{id}``, with the requests for it."""

    media_info: _MediaInfo | None = None
    seasons: list[_Season] = []

    def requests_like(self, request: MediaRequest) -> list[_Request]:
        """The active ones for the same quality that ask for any of the wanted seasons.

        Active is what is not declined, and what is fulfilled for as long as the title is there.
        """
        info, is4k = self.media_info, request.media.is4k
        if info is None:
            return []
        gone = info.status_in(is4k=is4k) == DELETED
        inactive = {DECLINED, COMPLETED} if gone else {DECLINED}
        wanted = self.wanted_seasons(request)
        return [
            other
            for other in info.requests
            if other.is4k == is4k
            and other.status not in inactive
            and (not wanted or wanted & other.season_numbers())
        ]

    def wanted_seasons(self, request: MediaRequest) -> set[int]:
        """None of a film; of a whole series those that Overseerr's ``all`` means."""
        if request.seasons:
            return set(request.seasons)
        return {
            season.season_number
            for season in self.seasons
            if season.season_number != 0 and season.episode_count > 0
        }

    def find(self, request: MediaRequest) -> int | None:
        """The newest active request for the same, if all wanted seasons were asked for.

        In however many requests; else there is something left to submit.
        """
        alike = self.requests_like(request)
        asked_for = {number for other in alike for number in other.season_numbers()}
        return newest(alike) if self.wanted_seasons(request) <= asked_for else None


def newest(requests: list[_Request]) -> int | None:
    """The id of the one that was made last."""
    return max((request.id for request in requests), default=None)
