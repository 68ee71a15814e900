"""A request that Overseerr shall have is sent there, now or at its next attempt."""

from collections.abc import Sequence
from typing import Any

from application.effects import Due, ForwardRequest, Reactor
from domain.kernel import Recorded
from domain.media_requests import (
    ForwardingFailed,
    ForwardingRetried,
    MediaRequestApproved,
    MediaRequested,
    MediaRequestExtended,
)


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """The attempt that follows from the event, if one does."""
    match recorded.event:
        case (
            MediaRequested(needs_approval=False)
            | MediaRequestExtended(needs_approval=False)
            | MediaRequestApproved()
            | ForwardingRetried()
        ):
            return (Due(ForwardRequest(recorded.stream_id, attempt=0)),)
        case ForwardingFailed(attempt, retry_at=retry_at):
            return (Due(ForwardRequest(recorded.stream_id, attempt), retry_at),)
        case _:
            return ()


forward_requests = Reactor("forward_requests", react)
