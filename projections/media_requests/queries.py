"""What can be asked of the list of requests."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from domain.media_requests import MediaType, RequestStatus
from projections.media_requests.rows import MediaRequestRow
from projections.media_requests.words import words_of
from projections.queries import select, where
from projections.together import Together


class Sort(StrEnum):
    """By what a list is sorted."""

    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"
    UPDATED = "updated"
    """What has changed last comes first."""


class RequestFilter(msgspec.Struct, frozen=True):
    """Which requests to list; ``None`` is any.

    ``words`` are those with which words of the title must begin, each of them.
    """

    status: RequestStatus | None = None
    media_type: MediaType | None = None
    requested_by: UUID | None = None
    is4k: bool | None = None
    awaits_approval: bool | None = None
    followed_by: UUID | None = None
    words: str | None = None


class Mark(msgspec.Struct, frozen=True):
    """Where a page has ended: the position and the title by which its last row is sorted."""

    position: int
    title: str = ""

    @classmethod
    def of(cls, row: MediaRequestRow, sort: Sort) -> "Mark":
        """The mark behind a row."""
        match sort:
            case Sort.UPDATED:
                return cls(row.updated_position)
            case Sort.TITLE:
                return cls(row.requested_position, row.sort_title)
            case Sort.NEWEST | Sort.OLDEST:
                return cls(row.requested_position)


_ORDERS: dict[Sort, LiteralString] = {
    Sort.NEWEST: "requested_position DESC",
    Sort.OLDEST: "requested_position",
    Sort.TITLE: 'sort_title COLLATE "C", requested_position',
    Sort.UPDATED: "updated_position DESC",
}


class MediaRequestQueries:
    """What can be asked of the list of requests."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._by_id = Together(self._rows_of)

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        """One request, or ``None``."""
        return await self._by_id.find(request_id)

    async def find_all(self, request_ids: Sequence[UUID]) -> Sequence[MediaRequestRow]:
        """Those of the requests that there are, in no order, in one read."""
        return await self._rows(
            "SELECT * FROM media_requests_v2 WHERE id = ANY(%s)", [[*request_ids]]
        )

    async def at_overseerr(
        self, statuses: Sequence[RequestStatus], *, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """The first ``limit`` that Overseerr has and that have one of the statuses, by their ids.

        They come behind ``after``.
        """
        condition, values = where(("status = ANY(%s)", [*statuses]), ("id > %s", after))
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"SELECT id FROM media_requests_v2 {condition} AND overseerr_id IS NOT NULL"
                " ORDER BY id LIMIT %s",
                [*values, limit],
            )
            return [request_id for (request_id,) in await cursor.fetchall()]

    async def page(
        self, wanted: RequestFilter, sort: Sort, *, after: Mark | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        """The first ``limit`` requests that come ``after`` the mark.

        Keyset pages: the cost does not grow with the number of requests or the depth.
        """
        condition, values = _narrowed(wanted, sort, after)
        return await self._rows(
            f"SELECT * FROM media_requests_v2 {condition} ORDER BY {_ORDERS[sort]} LIMIT %s",
            [*values, limit],
        )

    async def counts(self, requested_by: UUID | None) -> dict[RequestStatus, int]:
        """How many requests there are of each status, of one person or of all."""
        condition, values = where(("requested_by = %s", requested_by))
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"SELECT status, count(*) FROM media_requests_v2 {condition} GROUP BY status",
                values,
            )
            found = dict(await cursor.fetchall())
        return {status: found.get(status, 0) for status in RequestStatus}

    async def _rows_of(self, request_ids: list[UUID]) -> dict[UUID, MediaRequestRow]:
        return {row.id: row for row in await self.find_all(request_ids)}

    async def _rows(self, query: LiteralString, values: Sequence[Any]) -> list[MediaRequestRow]:
        return await select(self._pool, MediaRequestRow, query, values)


_BEHIND: dict[Sort, LiteralString] = {
    Sort.NEWEST: "requested_position < %s",
    Sort.OLDEST: "requested_position > %s",
    Sort.TITLE: '(sort_title COLLATE "C", requested_position) > (%s, %s)',
    Sort.UPDATED: "updated_position < %s",
}


def _narrowed(
    wanted: RequestFilter, sort: Sort, after: Mark | None
) -> tuple[LiteralString, list[Any]]:
    """The WHERE clause, and its values."""
    words = None if wanted.words is None else _beginning_with(words_of(wanted.words))
    followed_by = None if wanted.followed_by is None else Jsonb([str(wanted.followed_by)])
    clause, values = where(
        ("status = %s", wanted.status),
        ("media_type = %s", wanted.media_type),
        ("requested_by = %s", wanted.requested_by),
        ("is4k = %s", wanted.is4k),
        ("awaits_approval AND %s", wanted.awaits_approval or None),
        ("NOT awaits_approval AND %s", wanted.awaits_approval is False or None),
        ("followers <> '[]' AND followers @> %s", followed_by),
        # As the index has it, see WORDS_INDEXED.
        ("array_to_tsvector(string_to_array(words, ' ')) @@ %s::tsquery", words),
    )
    if after is None:
        return clause, values
    mark = (after.title, after.position) if sort is Sort.TITLE else (after.position,)
    return f"{clause} AND {_BEHIND[sort]}" if clause else f"WHERE {_BEHIND[sort]}", [*values, *mark]


def _beginning_with(words: Sequence[str]) -> str:
    """A tsquery; words have no character that means something in it."""
    return " & ".join(f"'{word}':*" for word in words)
