from datetime import timedelta
from uuid import UUID, uuid4

from psycopg_pool import AsyncConnectionPool

from domain.notifications.deliveries import (
    Delivered,
    DeliveryAttemptFailed,
    DeliveryGivenUp,
    Errand,
)
from domain.notifications.kinds import NoticeKind
from projections.deliveries import DeliveryQueries, DeliveryRow, DeliveryStatus
from tests.events import NOON
from tests.projections.conftest import Projected

ANN, BOB, MAIL, CHAT = [UUID(int=number) for number in range(1, 5)]
NEWS = UUID(int=9)
SOON = NOON + timedelta(seconds=10)


def errand(account_id: UUID = ANN, channel_id: UUID = MAIL) -> Errand:
    return Errand(account_id, NEWS, channel_id, NoticeKind.REQUEST_AVAILABLE, "The Matrix")


async def only(pool: AsyncConnectionPool) -> DeliveryRow:
    (row,) = await DeliveryQueries(pool).page(ANN, None, before=None, limit=10)
    return row


async def test_a_delivery_shows_its_last_attempt(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    stream = uuid4()
    failed = DeliveryAttemptFailed(errand(), 1, "Busy.", NOON, SOON)
    position = await projected.put(stream, failed)
    assert await only(pool) == DeliveryRow(
        id=stream,
        begun_position=position,
        account_id=ANN,
        notification_id=NEWS,
        channel_id=MAIL,
        kind=NoticeKind.REQUEST_AVAILABLE,
        title="The Matrix",
        status=DeliveryStatus.RETRYING,
        attempts=1,
        reason="Busy.",
        next_attempt_at=SOON,
        updated_at=NOON,
    )
    await projected.put(stream, Delivered(errand(), 2), at=SOON)
    row = await only(pool)
    assert (row.begun_position, row.status, row.attempts) == (
        position,
        DeliveryStatus.DELIVERED,
        2,
    )
    assert (row.reason, row.next_attempt_at, row.updated_at) == ("Busy.", None, SOON)


async def test_what_was_given_up_says_why(projected: Projected, pool: AsyncConnectionPool) -> None:
    stream = uuid4()
    await projected.put(stream, DeliveryAttemptFailed(errand(), 1, "Busy.", NOON, SOON))
    await projected.put(stream, DeliveryGivenUp(errand(), 2, "404", by_channel=True))
    row = await only(pool)
    assert (row.status, row.attempts, row.reason) == (DeliveryStatus.GIVEN_UP, 2, "404")
    assert row.next_attempt_at is None


async def test_deliveries_are_ones_own_newest_first(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    first, others, last = [uuid4() for _ in range(3)]
    await projected.put(first, Delivered(errand(), 1))
    await projected.put(others, Delivered(errand(BOB), 1))
    position = await projected.put(last, Delivered(errand(channel_id=CHAT), 1))
    queries = DeliveryQueries(pool)

    async def ids(
        channel_id: UUID | None = None, before: int | None = None, limit: int = 10
    ) -> list[UUID]:
        page = await queries.page(ANN, channel_id, before=before, limit=limit)
        return [row.id for row in page]

    assert await ids() == [last, first]
    assert await ids(CHAT) == [last]
    assert await ids(before=position) == [first]
    assert await ids(limit=1) == [last]
