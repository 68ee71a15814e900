"""A request that Overseerr does not have yet is sent there, now or at its next attempt."""

from collections.abc import Sequence
from typing import Any

from application.effects import Due, ForwardRequest, Reactor
from domain.kernel import Recorded
from domain.media_requests import ForwardingFailed, MediaRequested


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """The attempt that follows from the event, if one does."""
    match recorded.event:
        case MediaRequested():
            return (Due(ForwardRequest(recorded.stream_id)),)
        case ForwardingFailed(retry_at=retry_at):
            return (Due(ForwardRequest(recorded.stream_id), retry_at),)
        case _:
            return ()


forward_requests = Reactor("forward_requests", react)
