"""The list of requests: one row for each, its fold and its queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.kernel import Recorded
from domain.media_requests import (
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    MediaRequested,
    MediaRequestForwarded,
    MediaType,
    RequestStatus,
    media_requests,
)
from projections.kernel import Key, ReadModel
from projections.together import Together


class MediaRequestRow(msgspec.Struct, frozen=True):
    """A request as people see it. ``requested_position`` orders the list, newest last."""

    id: UUID
    requested_position: int
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
    overseerr_id: int | None = None
    attempts: int = 0
    problem: ForwardingProblem | None = None
    next_attempt_at: datetime | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A request's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: MediaRequestRow | None, recorded: Recorded[Any]) -> MediaRequestRow | None:
    """The row after the event."""
    event = recorded.event
    if isinstance(event, MediaRequested):
        return _requested(event, recorded)
    if row is None:
        raise LookupError(f"{type(event).__name__} without a request")
    stamp = {"version": recorded.version, "updated_at": recorded.at}
    match event:
        case MediaRequestForwarded(overseerr_id):
            changes = {
                "status": RequestStatus.FORWARDED,
                "overseerr_id": overseerr_id,
                "problem": None,
                "next_attempt_at": None,
            }
        case ForwardingFailed(attempt, problem, retry_at=retry_at):
            changes = {"attempts": attempt, "problem": problem, "next_attempt_at": retry_at}
        case ForwardingAbandoned(attempt, problem):
            changes = {
                "status": RequestStatus.FAILED,
                "attempts": attempt,
                "problem": problem,
                "next_attempt_at": None,
            }
        case _:
            changes = {}
    return msgspec.structs.replace(row, **stamp, **changes)


def _requested(event: MediaRequested, recorded: Recorded[Any]) -> MediaRequestRow:
    return MediaRequestRow(
        id=recorded.stream_id,
        requested_position=recorded.position,
        media_type=event.media.media_type,
        tmdb_id=event.media.tmdb_id,
        is4k=event.media.is4k,
        title=event.title,
        year=event.year,
        poster_path=event.poster_path,
        seasons=event.seasons,
        note=event.note,
        requested_by=event.requested_by,
        requested_at=recorded.at,
        status=RequestStatus.PENDING,
        version=recorded.version,
        updated_at=recorded.at,
    )


MEDIA_REQUESTS: ReadModel[MediaRequestRow] = ReadModel(
    name="media_requests",
    version=1,
    row=MediaRequestRow,
    key=("id",),
    events=media_requests.events,
    keys=keys,
    fold=fold,
    indexes=(
        "requested_position",
        "requested_by, requested_position",
        "status, requested_position",
    ),
)


class RequestFilter(msgspec.Struct, frozen=True):
    """Which requests to list; ``None`` is any."""

    status: RequestStatus | None = None
    media_type: MediaType | None = None
    requested_by: UUID | None = None


class MediaRequestQueries:
    """What can be asked of the list of requests."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._by_id = Together(self._rows_of)

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        """One request, or ``None``."""
        return await self._by_id.find(request_id)

    async def page(
        self, wanted: RequestFilter, *, before: int | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        """The newest ``limit`` requests, older than the position ``before``.

        Keyset pages: the cost does not grow with the number of requests or the depth.
        """
        conditions: list[LiteralString] = []
        values: list[Any] = []
        if wanted.status is not None:
            conditions.append("status = %s")
            values.append(wanted.status)
        if wanted.media_type is not None:
            conditions.append("media_type = %s")
            values.append(wanted.media_type)
        if wanted.requested_by is not None:
            conditions.append("requested_by = %s")
            values.append(wanted.requested_by)
        if before is not None:
            conditions.append("requested_position < %s")
            values.append(before)
        where: LiteralString = "WHERE " + " AND ".join(conditions) if conditions else ""
        return await self._rows(
            f"SELECT * FROM media_requests_v1 {where} ORDER BY requested_position DESC LIMIT %s",
            [*values, limit],
        )

    async def _rows_of(self, ids: list[UUID]) -> dict[UUID, MediaRequestRow]:
        rows = await self._rows("SELECT * FROM media_requests_v1 WHERE id = ANY(%s)", [ids])
        return {row.id: row for row in rows}

    async def _rows(self, query: LiteralString, values: Sequence[Any]) -> list[MediaRequestRow]:
        # One JSON document is decoded into structs in one step, faster than row by row.
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"SELECT coalesce(json_agg(found), '[]')::text FROM ({query}) AS found", values
            )
            (document,) = await cursor.fetchone() or ("[]",)
        return msgspec.json.decode(document, type=list[MediaRequestRow])
