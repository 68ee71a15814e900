"""The words of media requests: titles and parts of them, and where a request stands."""

from enum import StrEnum
from uuid import UUID

import msgspec

from domain.kernel import stream_id


class MediaType(StrEnum):
    """What is asked for; film and series ids of TMDB overlap, so an id alone names nothing."""

    MOVIE = "movie"
    TV = "tv"


class Media(msgspec.Struct, frozen=True, rename="camel"):
    """One title in one quality slot: HD and 4K are asked for and fulfilled separately."""

    media_type: MediaType
    tmdb_id: int
    is4k: bool = False


def media_request_id(media: Media) -> UUID:
    """One stream for each title and quality slot, so the store itself refuses a second request."""
    slot = "4k" if media.is4k else "hd"
    return stream_id("media_request", media.media_type, media.tmdb_id, slot)


class Episode(msgspec.Struct, frozen=True, order=True):
    """One episode of a series."""

    season: int
    number: int


class Part(msgspec.Struct, frozen=True):
    """Which part of a title: all of it without ``seasons``.

    ``episodes`` are the only ones wanted of their seasons, which are among ``seasons`` too; so who
    knows of seasons only gets what was asked for, and more.
    """

    seasons: tuple[int, ...] | None = None
    episodes: tuple[Episode, ...] = ()

    @classmethod
    def of(cls, seasons: tuple[int, ...] | None, episodes: tuple[Episode, ...] = ()) -> "Part":
        """Whole ``seasons``, and single ``episodes`` of others; neither is all there is."""
        whole = frozenset(seasons or ())
        if not whole and not episodes:
            return cls()
        single = {episode for episode in episodes if episode.season not in whole}
        touched = whole | {episode.season for episode in single}
        return cls(tuple(sorted(touched)), tuple(sorted(single)))

    @property
    def whole(self) -> frozenset[int]:
        """The seasons that are wanted whole."""
        return frozenset(self.seasons or ()) - {episode.season for episode in self.episodes}

    def beyond(self, had: "Part") -> "Part | None":
        """What of it is not in ``had``; ``None`` when nothing is."""
        if had.seasons is None:
            return None
        if self.seasons is None:
            return self
        whole = self.whole - had.whole
        single = set(self.episodes) - set(had.episodes)
        single = {episode for episode in single if episode.season not in had.whole}
        return Part.of(tuple(whole), tuple(single)) if whole or single else None

    def and_(self, more: "Part") -> "Part":
        """Both parts together."""
        if self.seasons is None or more.seasons is None:
            return Part()
        return Part.of(tuple(self.whole | more.whole), self.episodes + more.episodes)


class RequestStatus(StrEnum):
    """Where a request stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    """Made and kept; an admin has to say yes."""
    PENDING = "pending"
    """On its way; Overseerr has not answered yet, or there is none and an admin fulfils it."""
    FORWARDED = "forwarded"
    """Overseerr has it, under its own id."""
    FAILED = "failed"
    """Overseerr refused or lost it, or could not be reached for longer than the patience allows."""
    PARTLY_AVAILABLE = "partly_available"
    """Some of it is on the shelf."""
    AVAILABLE = "available"
    """It is on the shelf."""
    DECLINED = "declined"
    """An admin has said no."""
    WITHDRAWN = "withdrawn"
    """Who asked for it has taken it back."""
    CANCELLED = "cancelled"
    """An admin has put an end to it."""
    REMOVED = "removed"
    """It was on the shelf, and is no longer."""


ACTIVE = frozenset(
    {
        RequestStatus.AWAITING_APPROVAL,
        RequestStatus.PENDING,
        RequestStatus.FORWARDED,
        RequestStatus.FAILED,
        RequestStatus.PARTLY_AVAILABLE,
    }
)
"""A title has one such request in each slot; with any other status it can be asked for again."""


class ForwardingProblem(StrEnum):
    """Why Overseerr does not have a request."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UPSTREAM_ERROR = "upstream_error"
    THROTTLED = "throttled"
    BAD_KEY = "bad_key"
    QUOTA_USED = "quota_used"
    REFUSED = "refused"
    VANISHED = "vanished"
    """It had the request, and has it no longer."""
    FAILED_THERE = "failed_there"
    """It took the request and could not pass it on."""


class UpstreamStatus(StrEnum):
    """How a request stands at Overseerr."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    PARTLY_AVAILABLE = "partly_available"
    AVAILABLE = "available"
    DECLINED = "declined"
    FAILED = "failed"
    MISSING = "missing"
    """There is no such request, or no longer."""
    DELETED = "deleted"
    """The title was on the shelf, and is no longer."""
    UNKNOWN = "unknown"
    """A number of a newer version; it says nothing to us."""
