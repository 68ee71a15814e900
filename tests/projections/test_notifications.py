from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.kernel import Recorded
from domain.notifications.inbox import (
    InboxRead,
    NotificationRead,
    NotificationReceived,
    Subject,
    inbox_id,
)
from domain.notifications.kinds import NoticeKind
from projections import notifications
from projections.notifications import InboxState, NotificationQueries, NotificationRow, fold
from tests.events import NOON, metadata
from tests.projections.conftest import Projected

ANN, BOB, REQUEST = UUID(int=1), UUID(int=2), UUID(int=603)
EARLIER = NOON - timedelta(hours=1)


def received(account_id: UUID = ANN, *, in_inbox: bool = True) -> NotificationReceived:
    about = Subject(REQUEST, "The Matrix", EARLIER, 1999, "No room.", awaits_approval=True)
    return NotificationReceived(account_id, NoticeKind.REQUEST_DECLINED, about, in_inbox)


async def ids(pool: AsyncConnectionPool, unread_from: int | None = None) -> list[UUID]:
    page = await NotificationQueries(pool).page(ANN, unread_from=unread_from, before=None, limit=10)
    return [row.id for row in page]


async def test_a_notification_is_shown_as_it_was_told(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    stream = uuid4()
    position = await projected.put(stream, received())
    row = NotificationRow(
        id=stream,
        position=position,
        account_id=ANN,
        kind=NoticeKind.REQUEST_DECLINED,
        request_id=REQUEST,
        title="The Matrix",
        year=1999,
        detail="No room.",
        awaits_approval=True,
        at=EARLIER,
    )
    queries = NotificationQueries(pool)
    assert await queries.page(ANN, unread_from=None, before=None, limit=10) == [row]
    assert await queries.state(ANN) == InboxState(read_up_to=0, newest=position, unread=1)


async def test_an_inbox_holds_ones_own_newest_first(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    first, others, elsewhere, last = [uuid4() for _ in range(4)]
    await projected.put(first, received())
    await projected.put(others, received(BOB))
    await projected.put(elsewhere, received(in_inbox=False))
    position = await projected.put(last, received())
    assert await ids(pool) == [last, first]
    page = await NotificationQueries(pool).page(ANN, unread_from=None, before=position, limit=10)
    assert [row.id for row in page] == [first]
    page = await NotificationQueries(pool).page(ANN, unread_from=None, before=None, limit=1)
    assert [row.id for row in page] == [last]


async def test_what_is_read_is_told_one_by_one_and_up_to_a_place(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    queries = NotificationQueries(pool)
    one, two, three = [uuid4() for _ in range(3)]
    await projected.put(one, received())
    second = await projected.put(two, received())
    third = await projected.put(three, received())
    await projected.put(three, NotificationRead(), at=NOON + timedelta(hours=1))
    assert await queries.state(ANN) == InboxState(0, third, unread=2)
    assert await ids(pool, unread_from=0) == [two, one]
    (newest, *_) = await queries.page(ANN, unread_from=None, before=None, limit=1)
    assert newest.read_at == NOON + timedelta(hours=1)
    await projected.put(inbox_id(ANN), InboxRead(second - 1))
    assert await queries.state(ANN) == InboxState(second - 1, third, unread=1)
    assert await ids(pool, unread_from=second - 1) == [two]
    await projected.put(inbox_id(ANN), InboxRead(second))
    assert await queries.state(ANN) == InboxState(second, third, unread=0)
    assert await queries.state(BOB) == InboxState(0, 0, 0)


async def test_the_unread_are_counted_up_to_a_number(
    projected: Projected, pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "MOST_UNREAD", 2)
    for _ in range(3):
        await projected.put(uuid4(), received())
    assert (await NotificationQueries(pool).state(ANN)).unread == 2


def test_an_event_without_a_notification_is_not_folded() -> None:
    with pytest.raises(LookupError, match="NotificationRead without a notification"):
        fold(None, Recorded(1, uuid4(), 2, metadata(), NotificationRead()))
