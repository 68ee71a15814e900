"""A person who is forgotten is forgotten wholly, even if the process that began it has died."""

from collections.abc import Sequence
from typing import Any

from application.effects import Due, FinishForgetting, Reactor
from domain.accounts import AccountForgotten
from domain.kernel import Recorded


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """What is left to do after the event."""
    if isinstance(recorded.event, AccountForgotten):
        return (Due(FinishForgetting(recorded.stream_id)),)
    return ()


finish_forgetting = Reactor("finish_forgetting", react)
