from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.notifications.deliveries import (
    FIRST_RETRY_DELAY,
    LONGEST_RETRY_DELAY,
    PATIENCE,
    Delivered,
    DeliveryAttemptFailed,
    DeliveryCommand,
    DeliveryEvent,
    DeliveryGivenUp,
    DropDelivery,
    Errand,
    RecordDelivery,
    RecordFailure,
    RecordRefusal,
    deliveries,
    delivery_id,
    retry_delay,
)
from domain.notifications.kinds import NoticeKind
from tests.given import given

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ERRAND = Errand(UUID(int=1), UUID(int=2), UUID(int=3), NoticeKind.REQUEST_AVAILABLE, "The Matrix")
MOMENT = timedelta(microseconds=1)


def fail(at: datetime = NOON, retry_after: timedelta | None = None) -> RecordFailure:
    return RecordFailure(ERRAND, "Busy.", at, retry_after)


def failed(attempt: int, at: datetime = NOON) -> DeliveryAttemptFailed:
    delay = retry_delay(attempt)
    return DeliveryAttemptFailed(ERRAND, attempt, "Busy.", at, at + delay)


def test_what_is_taken_is_delivered_with_the_number_of_its_attempt() -> None:
    given(deliveries).when(RecordDelivery(ERRAND)).then(Delivered(ERRAND, 1))
    given(deliveries, failed(1)).when(RecordDelivery(ERRAND)).then(Delivered(ERRAND, 2))


def test_what_fails_is_tried_again_ever_later() -> None:
    given(deliveries).when(fail()).then(failed(1))
    given(deliveries, failed(1)).when(fail()).then(failed(2))
    assert [retry_delay(attempt) for attempt in (1, 2, 3)] == [
        FIRST_RETRY_DELAY,
        2 * FIRST_RETRY_DELAY,
        4 * FIRST_RETRY_DELAY,
    ]
    assert retry_delay(10_000) == LONGEST_RETRY_DELAY


@pytest.mark.parametrize(
    ("asked", "given_"),
    [
        (timedelta(seconds=1), FIRST_RETRY_DELAY),
        (timedelta(minutes=7), timedelta(minutes=7)),
        (timedelta(days=30), PATIENCE),
    ],
)
def test_who_asks_for_time_is_given_it_up_to_our_patience(
    asked: timedelta, given_: timedelta
) -> None:
    given(deliveries).when(fail(retry_after=asked)).then(
        DeliveryAttemptFailed(ERRAND, 1, "Busy.", NOON, NOON + given_)
    )


def test_after_three_days_it_is_given_up() -> None:
    end = NOON + PATIENCE
    history = (failed(1, NOON), failed(2, NOON + timedelta(days=2)))
    given(deliveries, *history).when(fail(end - MOMENT)).then(failed(3, end - MOMENT))
    given(deliveries, *history).when(fail(end)).then(
        DeliveryGivenUp(ERRAND, 3, "Busy.", by_channel=True)
    )


def test_what_is_refused_is_given_up_at_once() -> None:
    given(deliveries).when(RecordRefusal(ERRAND, "404")).then(
        DeliveryGivenUp(ERRAND, 1, "404", by_channel=True)
    )


def test_what_is_not_to_go_any_more_is_no_fault_of_the_channel() -> None:
    given(deliveries, failed(1)).when(DropDelivery(ERRAND, "It is off.")).then(
        DeliveryGivenUp(ERRAND, 1, "It is off.", by_channel=False)
    )
    dropped = deliveries.fold([DeliveryGivenUp(ERRAND, 1, "It is off.", by_channel=False)])
    refused = deliveries.fold([DeliveryGivenUp(ERRAND, 1, "404", by_channel=True)])
    assert dropped is not None
    assert refused is not None
    assert (dropped.given_up, refused.given_up) == (None, "404")


@pytest.mark.parametrize(
    "end", [Delivered(ERRAND, 1), DeliveryGivenUp(ERRAND, 1, "404", by_channel=True)]
)
@pytest.mark.parametrize(
    "command",
    [RecordDelivery(ERRAND), fail(), RecordRefusal(ERRAND, "404"), DropDelivery(ERRAND, "Off.")],
)
def test_what_is_over_stays_so(end: DeliveryEvent, command: DeliveryCommand) -> None:
    given(deliveries, end).when(command).then_nothing()


def test_each_notification_has_a_delivery_by_each_channel() -> None:
    one, other = uuid4(), uuid4()
    assert len({delivery_id(*names) for names in ((one, other), (other, one), (one, one))}) == 3
