"""A delivery: one notification on its way by one channel, with all of its attempts."""

from datetime import datetime, timedelta
from typing import TypeAlias, assert_never, get_args
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, Event, stream_id
from domain.notifications.kinds import NoticeKind

FIRST_RETRY_DELAY = timedelta(seconds=10)
LONGEST_RETRY_DELAY = timedelta(hours=1)
"""An hour: news that is a day old already can wait one more, and nobody's server is hammered."""
PATIENCE = timedelta(days=3)
"""A server that is away for a weekend still gets the news; then somebody must look."""


class Errand(msgspec.Struct, frozen=True, rename="camel"):
    """What is delivered, to whom and by what; ``title`` is that of the request it tells of."""

    account_id: UUID
    notification_id: UUID
    channel_id: UUID
    kind: NoticeKind
    title: str


# Events


class DeliveryAttemptFailed(Event, frozen=True, tag="delivery.attempt_failed"):
    """Attempt number ``attempt`` failed; the next one is due at ``retry_at``."""

    errand: Errand
    attempt: int
    reason: str
    failed_at: datetime
    retry_at: datetime


class Delivered(Event, frozen=True, tag="delivery.delivered"):
    """It was taken, at attempt number ``attempt``."""

    errand: Errand
    attempt: int


class DeliveryGivenUp(Event, frozen=True, tag="delivery.given_up"):
    """There is no further attempt. ``attempt`` counts those that there were.

    ``by_channel`` tells that the channel has failed; else it was not to be used any more.
    """

    errand: Errand
    attempt: int
    reason: str
    by_channel: bool


DeliveryEvent: TypeAlias = DeliveryAttemptFailed | Delivered | DeliveryGivenUp

# Commands


class RecordDelivery(Command, frozen=True):
    """It was taken."""

    errand: Errand


class RecordFailure(Command, frozen=True):
    """It did not arrive; the service may have said for how long to leave it alone."""

    errand: Errand
    reason: str
    at: datetime
    retry_after: timedelta | None = None


class RecordRefusal(Command, frozen=True):
    """It was refused, and would be again."""

    errand: Errand
    reason: str


class DropDelivery(Command, frozen=True):
    """The channel is not to be used any more."""

    errand: Errand
    reason: str


DeliveryCommand: TypeAlias = RecordDelivery | RecordFailure | RecordRefusal | DropDelivery

# Decisions


class Delivery(msgspec.Struct, frozen=True):
    """What the decisions about a delivery depend on. ``given_up`` is why, by the channel."""

    attempts: int = 0
    first_failed_at: datetime | None = None
    over: bool = False
    given_up: str | None = None


def delivery_id(notification_id: UUID, channel_id: UUID) -> UUID:
    """One stream for each notification and channel."""
    return stream_id("delivery", str(notification_id), str(channel_id))


def retry_delay(attempt: int) -> timedelta:
    """10, 20, 40 … seconds, at most LONGEST_RETRY_DELAY."""
    doublings = min(attempt - 1, 20)  # 2**20 is far over the longest delay, and never overflows
    return min(FIRST_RETRY_DELAY * 2**doublings, LONGEST_RETRY_DELAY)


def decide(command: DeliveryCommand, delivery: Delivery | None) -> list[DeliveryEvent]:
    """What follows from ``command``; nothing once it is over."""
    delivery = delivery or Delivery()
    if delivery.over:
        return []
    attempt = delivery.attempts + 1
    match command:
        case RecordDelivery(errand):
            return [Delivered(errand, attempt)]
        case RecordFailure(errand, reason, at, retry_after):
            if at - (delivery.first_failed_at or at) >= PATIENCE:
                return [DeliveryGivenUp(errand, attempt, reason, by_channel=True)]
            # Who asks for more time than our patience has is asked once more at its end.
            delay = max(retry_delay(attempt), min(retry_after or timedelta(), PATIENCE))
            return [DeliveryAttemptFailed(errand, attempt, reason, at, at + delay)]
        case RecordRefusal(errand, reason):
            return [DeliveryGivenUp(errand, attempt, reason, by_channel=True)]
        case DropDelivery(errand, reason):
            return [DeliveryGivenUp(errand, delivery.attempts, reason, by_channel=False)]
        case _:
            assert_never(command)


def evolve(delivery: Delivery | None, event: DeliveryEvent) -> Delivery:
    """The delivery after ``event``."""
    delivery = delivery or Delivery()
    match event:
        case DeliveryAttemptFailed(_, attempt, failed_at=failed_at):
            first = delivery.first_failed_at or failed_at
            return msgspec.structs.replace(delivery, attempts=attempt, first_failed_at=first)
        case Delivered(_, attempt):
            return msgspec.structs.replace(delivery, attempts=attempt, over=True)
        case DeliveryGivenUp(_, attempt, reason, by_channel):
            given_up = reason if by_channel else None
            return msgspec.structs.replace(delivery, attempts=attempt, over=True, given_up=given_up)
        case _:
            assert_never(event)


deliveries: Decider[DeliveryCommand, Delivery, DeliveryEvent] = Decider(
    "delivery", get_args(DeliveryEvent), decide, evolve
)
