"""A notification goes out by the channels that its person has chosen, each until it arrives."""

from collections.abc import Sequence
from typing import Any

from application.effects import Deliver, Due, Reactor
from domain.kernel import Recorded
from domain.notifications.deliveries import DeliveryAttemptFailed
from domain.notifications.inbox import NotificationReceived


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """The attempts that follow from the event."""
    match recorded.event:
        case NotificationReceived(channels=channels):
            return [Due(Deliver(recorded.stream_id, channel)) for channel in channels]
        case DeliveryAttemptFailed(errand, attempt, retry_at=retry_at):
            again = Deliver(errand.notification_id, errand.channel_id, attempt)
            return (Due(again, retry_at),)
        case _:
            return ()


deliver_notifications = Reactor("deliver_notifications", react)
