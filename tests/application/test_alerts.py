from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from application.alerts import Alerts
from application.execute import Context, Executor
from application.ports import NewEvents
from domain.alerts import (
    AlertAcknowledged,
    AlertRaised,
    AlertRepeated,
    AlertResolved,
    UnknownAlert,
    alert_id,
)
from tests.events import new_events
from tests.fakes import InMemoryEventStore, new_id

ANN = UUID(int=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class House:
    def __init__(self) -> None:
        self.now = NOON
        self.store = InMemoryEventStore()
        self.alerts = Alerts(
            Executor(self.store, lambda: self.now, new_id), self.store, lambda: self.now
        )

    async def raise_alert(self, times: int = 1, command_id: UUID | None = None) -> bool:
        return await self.alerts.raise_alert(
            "redis", "away", "Redis is away", "No answer.", context(command_id), times=times
        )

    async def events(self) -> list[type]:
        history = await self.alerts.history(alert_id("redis", "away"))
        return [type(recorded.event) for recorded in history]


def context(command_id: UUID | None = None) -> Context:
    return Context("system:test", "test", command_id or uuid4())


@pytest.fixture
def house() -> House:
    return House()


async def test_who_raises_an_alert_learns_whether_it_was_told(house: House) -> None:
    assert await house.raise_alert()
    house.now += timedelta(seconds=59)
    assert not await house.raise_alert()
    house.now += timedelta(seconds=1)
    assert await house.raise_alert(7)
    assert await house.events() == [AlertRaised, AlertRepeated]


async def test_a_command_that_is_sent_again_is_told_once(house: House) -> None:
    command_id = uuid4()
    assert await house.raise_alert(command_id=command_id)
    house.now += timedelta(minutes=5)
    assert await house.raise_alert(command_id=command_id)
    assert await house.events() == [AlertRaised]


async def test_an_alert_is_seen_and_over(house: House) -> None:
    await house.raise_alert()
    id_ = alert_id("redis", "away")
    await house.alerts.acknowledge(id_, ANN, context())
    await house.alerts.resolve("redis", "away", context())
    await house.alerts.resolve("redis", "away", context())
    assert await house.events() == [AlertRaised, AlertAcknowledged, AlertResolved]


async def test_what_never_was_an_alert_is_over_already(house: House) -> None:
    await house.alerts.resolve("redis", "away", context())
    assert house.store.events == []


async def test_what_is_no_alert_cannot_be_seen(house: House) -> None:
    request: NewEvents = new_events()
    await house.store.append(request)
    for id_ in (request.stream_id, uuid4()):
        with pytest.raises(UnknownAlert):
            await house.alerts.acknowledge(id_, ANN, context())
