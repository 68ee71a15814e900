"""What the Plex server has on its shelves.

Source: developer.plex.tv/pms, plexapi's ``library.py``, Seerr's ``server/api/plexapi.ts``. A list
cannot be narrowed by the ids of TMDB or TVDB, so we keep an index of them: read once, and from then
on only as far as something has changed since.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import timedelta
from http import HTTPStatus
from importlib.metadata import version
from typing import Generic, TypeVar

import msgspec
import structlog

from application.ports import BadPlexToken, OnShelf, PlexUnavailable, Shelf
from domain.media_requests import Media, MediaType
from infrastructure.upstreams.upstream import TIMEOUT, Answer, Upstream, UpstreamFailure

PAGE = 200
LIFETIME = timedelta(hours=6)
"""How long an index is added to before it is read anew, without what was deleted meanwhile."""
FOUR_K = "4k"
"""A ``videoResolution``; others are numbers, or ``sd``."""
KINDS = {MediaType.MOVIE: ("movie", "1"), MediaType.TV: ("show", "2")}
"""What Plex calls them, and the numbers by which it asks for them."""

_LEGACY = re.compile(r"com\.plexapp\.agents\.(themoviedb|thetvdb)://(\d+)")
_CATALOGUES = {"themoviedb": "tmdb", "thetvdb": "tvdb"}

log = structlog.get_logger()

T = TypeVar("T")


class PlexShelf(Shelf):
    """A Plex server, asked with its owner's token. ``clock`` counts seconds."""

    def __init__(
        self,
        url: str,
        token: str,
        client_identifier: str,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {
            "X-Plex-Token": token,
            "X-Plex-Client-Identifier": client_identifier,
            "X-Plex-Product": "MediaNest",
            "X-Plex-Version": version("medianest"),
        }
        self._plex = Upstream("The Plex server", url, headers=headers, timeout=timeout)
        self._clock = clock
        self._indexes = {kind: _Index(clock()) for kind in KINDS}

    async def find(self, media: Media, tvdb_id: int | None = None) -> OnShelf | None:
        """What there is of ``media``. Raises BadPlexToken or PlexUnavailable."""
        wanted = {f"tmdb://{media.tmdb_id}"}
        if tvdb_id is not None:
            wanted.add(f"tvdb://{tvdb_id}")
        index = await self._index(media.media_type)
        found = await self._look(index, wanted, media)
        if found is None and index.misled:  # the server may be another one by now
            index = await self._index(media.media_type)
            found = await self._look(index, wanted, media)
        return found

    async def check(self) -> None:
        """Prove that the server answers and accepts the token."""
        await self._sections()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._plex.aclose()

    # The index

    async def _index(self, media_type: MediaType) -> "_Index":
        """The index as new as can be; several who ask wait for one another."""
        index = self._indexes[media_type]
        async with index.lock:
            lifetime = LIFETIME.total_seconds()
            if index.misled or self._clock() - index.since >= lifetime:
                index.forget(self._clock())
            kind, number = KINDS[media_type]
            for section in await self._sections():
                if section.type == kind:
                    await self._read_changes(index, section.key, number)
        return index

    async def _read_changes(self, index: "_Index", section: str, number: str) -> None:
        """Add what has changed in a section, the newest first, until what is known is reached."""
        known, newest = index.read_until.get(section, -1), -1
        async with aclosing(self._newest_first(section, number)) as items:
            async for item in items:
                newest = max(newest, item.changed_at)
                if item.changed_at < known:
                    break
                index.add(item)
        index.read_until[section] = max(known, newest)

    async def _newest_first(self, section: str, number: str) -> "AsyncGenerator[_Item]":
        start, there = 0, 1
        while start < there:
            query = {
                "type": number,
                "includeGuids": "1",
                "sort": "updatedAt:desc",
                "X-Plex-Container-Start": str(start),
                "X-Plex-Container-Size": str(PAGE),
            }
            page = await self._get(f"/library/sections/{section}/all", _Items, query)
            for item in page.items:
                yield item
            start, there = start + len(page.items), page.total if page.items else 0

    async def _sections(self) -> "list[_Section]":
        return (await self._get("/library/sections", _Whole[_Sections])).sections

    # One item

    async def _look(self, index: "_Index", wanted: set[str], media: Media) -> OnShelf | None:
        """Look at each item that the index has, as that may be of yesterday."""
        for key in sorted({key for guid in wanted for key in index.keys[guid]}, key=int):
            item = await self._item(key)
            if item is None or not wanted & item.guids():
                index.misled = True
                continue
            shelf = await self._shelf_of(item, media)
            if shelf is not None:
                return shelf
        return None

    async def _item(self, key: str) -> "_Item | None":
        answer = await self._call(f"/library/metadata/{key}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return next(iter(_read(answer, _Items).items), None)

    async def _shelf_of(self, item: "_Item", media: Media) -> OnShelf | None:
        if media.media_type is MediaType.MOVIE:
            return OnShelf(item.rating_key) if item.serves(is4k=media.is4k) else None
        path = f"/library/metadata/{item.rating_key}/allLeaves"
        episodes = (await self._get(path, _Episodes)).items
        seasons: defaultdict[int, int] = defaultdict(int)
        for season, _ in {
            (episode.parent_index, episode.index)
            for episode in episodes
            if episode.serves(is4k=media.is4k)
        }:
            seasons[season] += 1
        return OnShelf(item.rating_key, dict(sorted(seasons.items()))) if seasons else None

    async def _get(
        self, path: str, shape: "type[_Whole[T]]", query: dict[str, str] | None = None
    ) -> T:
        return _read(await self._call(path, query), shape)

    async def _call(self, path: str, query: dict[str, str] | None = None) -> Answer:
        try:
            return await self._plex.call("GET", path, query=query)
        except UpstreamFailure as failure:
            log.warning("plex unavailable", reason=str(failure))
            raise PlexUnavailable(str(failure)) from failure


def _read(answer: Answer, shape: "type[_Whole[T]]") -> T:
    """Only 401 says anything about the token, and its body is a page of HTML."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise BadPlexToken
    if answer.status != HTTPStatus.OK:
        log.warning("plex unavailable", service=answer.service, status=answer.status)
        busy = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        reason = "has a problem of its own" if busy else "refuses to answer"
        raise PlexUnavailable(f"The Plex server {reason}.", answer.retry_after)
    try:
        return answer.read(shape).container
    except UpstreamFailure as failure:
        log.warning("plex unavailable", reason=str(failure))
        raise PlexUnavailable(str(failure)) from failure


class _Index:
    """The rating keys of items by the ids that other catalogues give them.

    ``read_until`` is the last change of each section that is in it. It was ``misled`` when an item
    turns out to be gone, or another one.
    """

    def __init__(self, now: float) -> None:
        self.lock = asyncio.Lock()
        self.forget(now)

    def forget(self, now: float) -> None:
        """Begin anew."""
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.read_until: dict[str, int] = {}
        self.since = now
        self.misled = False

    def add(self, item: "_Item") -> None:
        """Have the item found by its ids."""
        for guid in item.guids():
            self.keys[guid].add(item.rating_key)


class _Medium(msgspec.Struct, rename="camel"):
    video_resolution: str | None = None


class _Guid(msgspec.Struct):
    id: str


class _Watchable(msgspec.Struct, rename="camel", kw_only=True):
    media: list[_Medium] = msgspec.field(name="Media", default_factory=list[_Medium])

    def serves(self, *, is4k: bool) -> bool:
        """Whether it is there in the wanted quality; who wants no more than HD can watch any."""
        if not is4k:
            return bool(self.media)
        return any(medium.video_resolution == FOUR_K for medium in self.media)


class _Item(_Watchable, rename="camel", kw_only=True):
    rating_key: str
    guid: str = ""
    added_at: int = 0
    updated_at: int = 0
    other_guids: list[_Guid] = msgspec.field(name="Guid", default_factory=list[_Guid])

    @property
    def changed_at(self) -> int:
        """In seconds; what was never changed was only added."""
        return self.updated_at or self.added_at

    def guids(self) -> set[str]:
        """Such as ``tmdb://603``; agents of old write them otherwise."""
        return {guid.id for guid in self.other_guids} | set(_legacy(self.guid))


class _Episode(_Watchable, rename="camel", kw_only=True):
    parent_index: int
    index: int


class _Container(msgspec.Struct, Generic[T]):
    items: list[T] = msgspec.field(name="Metadata", default_factory=list[T])
    total_size: int | None = msgspec.field(name="totalSize", default=None)

    @property
    def total(self) -> int:
        """How many there are on all pages."""
        return len(self.items) if self.total_size is None else self.total_size


class _Section(msgspec.Struct):
    key: str
    type: str


class _Sections(msgspec.Struct):
    sections: list[_Section] = msgspec.field(name="Directory", default_factory=list[_Section])


class _Whole(msgspec.Struct, Generic[T]):
    container: T = msgspec.field(name="MediaContainer")


_Items = _Whole[_Container[_Item]]
_Episodes = _Whole[_Container[_Episode]]


def _legacy(guid: str) -> Iterable[str]:
    if found := _LEGACY.match(guid):
        yield f"{_CATALOGUES[found[1]]}://{found[2]}"
