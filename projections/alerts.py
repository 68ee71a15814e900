"""The list of alerts: one row for each, its fold and its queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.alerts import AlertAcknowledged, AlertRaised, AlertRepeated, AlertResolved, alerts
from domain.kernel import Recorded
from projections.kernel import Key, ReadModel


class AlertRow(msgspec.Struct, frozen=True):
    """An alert as it was last raised. ``raised_position`` orders the list, newest last.

    ``times`` is how often it has happened since then, as far as it was told. It is ``open`` until
    it is resolved, whether anybody has seen it or not.
    """

    id: UUID
    raised_position: int
    kind: str
    subject: str
    title: str
    detail: str
    raised_at: datetime
    last_at: datetime
    times: int
    open: bool
    version: int
    updated_at: datetime
    acknowledged_by: UUID | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """An alert's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: AlertRow | None, recorded: Recorded[Any]) -> AlertRow | None:
    """The row after the event; raised anew, it begins from nothing."""
    event = recorded.event
    if isinstance(event, AlertRaised):
        return _raised(event, recorded)
    if row is None:
        raise LookupError(f"{type(event).__name__} without an alert")
    stamp = {"version": recorded.version, "updated_at": recorded.at}
    match event:
        case AlertRepeated(times, repeated_at):
            changes = {"times": row.times + times, "last_at": repeated_at}
        case AlertAcknowledged(by):
            changes = {"acknowledged_by": by, "acknowledged_at": recorded.at}
        case AlertResolved():
            changes = {"open": False, "resolved_at": recorded.at}
        case _:
            changes = {}
    return msgspec.structs.replace(row, **stamp, **changes)


def _raised(event: AlertRaised, recorded: Recorded[Any]) -> AlertRow:
    return AlertRow(
        id=recorded.stream_id,
        raised_position=recorded.position,
        kind=event.kind,
        subject=event.subject,
        title=event.title,
        detail=event.detail,
        raised_at=event.raised_at,
        last_at=event.raised_at,
        times=event.times,
        open=True,
        version=recorded.version,
        updated_at=recorded.at,
    )


ALERTS: ReadModel[AlertRow] = ReadModel(
    name="alerts",
    version=1,
    row=AlertRow,
    key=("id",),
    events=alerts.events,
    keys=keys,
    fold=fold,
    indexes=("raised_position", "open, raised_position"),
)


class AlertQueries:
    """What can be asked of the list of alerts."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def page(
        self, *, is_open: bool | None, before: int | None, limit: int
    ) -> Sequence[AlertRow]:
        """The newest ``limit`` alerts, raised before the position ``before``; ``None`` is any."""
        conditions: list[LiteralString] = []
        values: list[Any] = []
        if is_open is not None:
            conditions.append("open = %s")
            values.append(is_open)
        if before is not None:
            conditions.append("raised_position < %s")
            values.append(before)
        where: LiteralString = "WHERE " + " AND ".join(conditions) if conditions else ""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT coalesce(json_agg(found), '[]')::text FROM ("
                f"SELECT * FROM alerts_v1 {where} ORDER BY raised_position DESC LIMIT %s"
                ") AS found",
                [*values, limit],
            )
            (document,) = await cursor.fetchone() or ("[]",)
        return msgspec.json.decode(document, type=list[AlertRow])
