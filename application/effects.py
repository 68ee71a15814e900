"""What reactors ask of the world, to be done at least once by a worker.

A reactor is a pure function from a recorded event to effects. The effects and the reactor's
checkpoint are stored in one transaction; a worker then performs each, and what comes of it returns
as a command whose id derives from the effect's, so that doing it twice changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID, uuid5

import msgspec

from application.execute import Context
from domain.kernel import Recorded


class ForwardRequest(msgspec.Struct, frozen=True, tag="forward_request"):
    """Tell Overseerr about a request."""

    request_id: UUID


class FinishForgetting(msgspec.Struct, frozen=True, tag="finish_forgetting"):
    """Destroy what tells who an account was, if that was cut off."""

    account_id: UUID


Effect: TypeAlias = ForwardRequest | FinishForgetting


class Due(msgspec.Struct, frozen=True):
    """An effect and when to perform it; ``None`` is at once."""

    effect: Effect
    at: datetime | None = None


class Reactor(msgspec.Struct, frozen=True):
    """A named reaction; the name is the identity of its checkpoint."""

    name: str
    react: Callable[[Recorded[Any]], Sequence[Due]]


class Job(msgspec.Struct, frozen=True):
    """An effect as a worker receives it. The id is the same however often it is delivered."""

    id: UUID
    effect: Effect
    correlation_id: str
    causation_id: UUID

    def context(self, actor: str, step: str) -> Context:
        """The context of the command that reports ``step`` of this job."""
        return Context(actor, self.correlation_id, self.command_id(step), self.causation_id)

    def command_id(self, step: str) -> UUID:
        """The id of the command that reports ``step`` of this job."""
        return uuid5(self.id, step)


def job_id(reactor: str, cause: Recorded[Any], number: int) -> UUID:
    """The id of the ``number``-th effect that ``reactor`` drew from ``cause``."""
    return uuid5(cause.metadata.event_id, f"{reactor}/{number}")
