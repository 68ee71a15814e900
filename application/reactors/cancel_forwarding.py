"""What was ended here shall not go on at Overseerr."""

from collections.abc import Sequence
from typing import Any

from application.effects import CancelForwarding, Due, Reactor
from domain.kernel import Recorded
from domain.media_requests import (
    CancellingFailed,
    ForwardedTooLate,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequestWithdrawn,
)


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """The attempt that follows from the event, if one does."""
    match recorded.event:
        case (
            MediaRequestDeclined()
            | MediaRequestWithdrawn()
            | MediaRequestCancelled()
            | ForwardedTooLate()
        ):
            return (Due(CancelForwarding(recorded.stream_id, attempt=0)),)
        case CancellingFailed(attempt, retry_at=retry_at):
            return (Due(CancelForwarding(recorded.stream_id, attempt), retry_at),)
        case _:
            return ()


cancel_forwarding = Reactor("cancel_forwarding", react)
