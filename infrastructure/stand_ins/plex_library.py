"""What the stand-in of a Plex server has on its shelves, in Plex's own shapes.

Source: developer.plex.tv/pms, plexapi's ``library.py``. A list tells of other catalogues' ids
(``Guid``) only when it is asked to, and can be narrowed by Plex's own ids alone.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import msgspec

from infrastructure.stand_ins.titles import MediaType, Title, find_title

Quality: TypeAlias = Literal["1080", "4k"]

MOST_AT_ONCE = 500
"""A page has at most so many items, whatever is asked for."""


class Episode(msgspec.Struct, frozen=True):
    """One episode, in one quality."""

    season: int
    number: int
    quality: Quality


class Item(msgspec.Struct):
    """A film, or a series with the episodes that are there. Times are seconds since 1970."""

    key: int
    section: str
    title: Title
    updated_at: int
    quality: Quality = "1080"
    episodes: list[Episode] = []
    legacy: bool = False
    """Whether an agent of old has found it, which writes ids otherwise."""

    def data(self, *, with_guids: bool) -> dict[str, Any]:
        """The item as it stands in a list."""
        title = self.title
        kind = "movie" if title.media_type == "movie" else "show"
        data: dict[str, Any] = {
            "ratingKey": str(self.key),
            "key": f"/library/metadata/{self.key}",
            "guid": self._guid(kind),
            "type": kind,
            "title": title.name,
            "year": title.released.year if title.released else None,
            "librarySectionID": int(self.section),
            "addedAt": self.updated_at,
            "updatedAt": self.updated_at,
        }
        if kind == "movie":
            data["Media"] = [{"id": self.key, "videoResolution": self.quality}]
        else:
            data["leafCount"] = len(self.episodes)
            data["childCount"] = len({episode.season for episode in self.episodes})
        if with_guids and not self.legacy:
            data["Guid"] = [{"id": guid} for guid in self._external_guids()]
        return data

    def leaves(self) -> list[dict[str, Any]]:
        """Every episode of a series."""
        return [
            {
                "ratingKey": str(self.key * 10_000 + place),
                "type": "episode",
                "parentIndex": episode.season,
                "index": episode.number,
                "Media": [{"id": place, "videoResolution": episode.quality}],
            }
            for place, episode in enumerate(self.episodes)
        ]

    def _guid(self, kind: str) -> str:
        title = self.title
        if not self.legacy:
            digest = hashlib.sha256(f"{kind}/{title.tmdb_id}".encode()).hexdigest()
            return f"plex://{kind}/{digest[:24]}"
        if kind == "movie":
            return f"com.plexapp.agents.themoviedb://{title.tmdb_id}?lang=en"
        return f"com.plexapp.agents.thetvdb://{title.tvdb_id}?lang=en"

    def _external_guids(self) -> Iterable[str]:
        title = self.title
        known = {"imdb": title.imdb_id, "tmdb": title.tmdb_id, "tvdb": title.tvdb_id}
        return (f"{catalogue}://{id_}" for catalogue, id_ in known.items() if id_ is not None)


class Section(msgspec.Struct, frozen=True):
    """A library of one kind."""

    key: str
    type: Literal["movie", "show"]
    title: str

    def data(self) -> dict[str, Any]:
        """The section as it stands in the list of all."""
        return {
            "key": self.key,
            "type": self.type,
            "title": self.title,
            "agent": f"tv.plex.agents.{'movie' if self.type == 'movie' else 'series'}",
            "refreshing": False,
            "Location": [{"id": int(self.key), "path": f"/media/{self.title}"}],
        }


SECTIONS = (
    Section("1", "movie", "Films"),
    Section("2", "show", "Series"),
    Section("3", "movie", "Films in 4K"),
    Section("4", "show", "Series in 4K"),
)


class ToShelve(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is put on the shelf: a film, or of a series all seasons, or ``seasons``."""

    media_type: MediaType
    tmdb_id: int
    seasons: list[int] | None = None
    is4k: bool = False
    legacy: bool = False


class PlexLibrary:
    """The items there are, and those that wait to be scanned."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.waiting: list[ToShelve] = []
        self._clock = 1_700_000_000

    def shelve(self, wanted: ToShelve) -> Item:
        """Find what is in the folder now; of a series that is there, the seasons that are new."""
        title = find_title(wanted.media_type, wanted.tmdb_id)
        if title is None:
            raise LookupError(f"There is no {wanted.media_type} {wanted.tmdb_id}.")
        self._clock += 1
        quality: Quality = "4k" if wanted.is4k else "1080"
        number = (0 if wanted.media_type == "movie" else 1) + (2 if wanted.is4k else 0)
        section = SECTIONS[number].key
        item = next(
            (
                item
                for item in self.items.values()
                if (item.title, item.section) == (title, section)
            ),
            None,
        )
        if item is None:
            key = 100 + len(self.items)
            item = self.items[key] = Item(key, section, title, self._clock, quality)
        item.legacy = wanted.legacy
        item.updated_at = self._clock
        known = {(episode.season, episode.number) for episode in item.episodes}
        item.episodes += [
            Episode(season, number, quality)
            for season, count in title.seasons
            if wanted.seasons is None or season in wanted.seasons
            for number in range(1, count + 1)
            if (season, number) not in known
        ]
        return item

    def scan(self) -> None:
        """Find everything that waits."""
        waiting, self.waiting = self.waiting, []
        for wanted in waiting:
            self.shelve(wanted)

    def list_section(
        self, section: str, *, newest_first: bool, start: int, size: int, with_guids: bool
    ) -> dict[str, Any]:
        """One page of a section."""
        items = [item for item in self.items.values() if item.section == section]
        if newest_first:
            items.sort(key=lambda item: item.updated_at, reverse=True)
        page = items[start : start + min(size, MOST_AT_ONCE)]
        listed = {"size": len(page), "totalSize": len(items), "offset": start}
        return listed | {"Metadata": [item.data(with_guids=with_guids) for item in page]}
