"""The list of deliveries: one row for each that was tried, its fold and its queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.kernel import Recorded
from domain.notifications.deliveries import (
    Delivered,
    DeliveryAttemptFailed,
    DeliveryEvent,
    DeliveryGivenUp,
    deliveries,
)
from domain.notifications.kinds import NoticeKind
from projections.kernel import Key, ReadModel
from projections.queries import select, where


class DeliveryStatus(StrEnum):
    """How a delivery stands."""

    RETRYING = "retrying"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


_STATUSES: dict[type[DeliveryEvent], DeliveryStatus] = {
    DeliveryAttemptFailed: DeliveryStatus.RETRYING,
    Delivered: DeliveryStatus.DELIVERED,
    DeliveryGivenUp: DeliveryStatus.GIVEN_UP,
}


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery after its last attempt. ``begun_position`` orders the list, newest last.

    ``reason`` is why the last attempt that failed did so, whatever came after it.
    """

    id: UUID
    begun_position: int
    account_id: UUID
    notification_id: UUID
    channel_id: UUID
    kind: NoticeKind
    title: str
    status: DeliveryStatus
    attempts: int
    reason: str | None
    next_attempt_at: datetime | None
    updated_at: datetime


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A delivery's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: DeliveryRow | None, recorded: Recorded[Any]) -> DeliveryRow | None:
    """The row after the event."""
    event: DeliveryEvent = recorded.event
    errand = event.errand
    failed = isinstance(event, DeliveryAttemptFailed)
    earlier = row.reason if row else None
    return DeliveryRow(
        id=recorded.stream_id,
        begun_position=row.begun_position if row else recorded.position,
        account_id=errand.account_id,
        notification_id=errand.notification_id,
        channel_id=errand.channel_id,
        kind=errand.kind,
        title=errand.title,
        status=_STATUSES[type(event)],
        attempts=event.attempt,
        reason=earlier if isinstance(event, Delivered) else event.reason,
        next_attempt_at=event.retry_at if failed else None,
        updated_at=recorded.at,
    )


DELIVERIES: ReadModel[DeliveryRow] = ReadModel(
    name="deliveries",
    version=1,
    row=DeliveryRow,
    key=("id",),
    events=deliveries.events,
    keys=keys,
    fold=fold,
    indexes=("account_id, begun_position", "channel_id, begun_position"),
)


class DeliveryQueries:
    """What can be asked of the list of deliveries."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def page(
        self, account_id: UUID, channel_id: UUID | None, *, before: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """The newest ``limit`` of a person, begun before a position; ``None`` is any channel."""
        matching, values = where(
            ("account_id = %s", account_id),
            ("channel_id = %s", channel_id),
            ("begun_position < %s", before),
        )
        return await select(
            self._pool,
            DeliveryRow,
            f"SELECT * FROM deliveries_v1 {matching} ORDER BY begun_position DESC LIMIT %s",
            [*values, limit],
        )
