"""What happens to a request is told to whom it concerns."""

from collections.abc import Sequence
from typing import Any

from application.effects import Due, Reactor, TellAbout
from application.notifications import TOLD
from domain.kernel import Recorded


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """The telling that follows from the event, if it is one that is told."""
    if isinstance(recorded.event, TOLD):
        return (Due(TellAbout(recorded.stream_id, recorded.version)),)
    return ()


notify = Reactor("notify", react)
