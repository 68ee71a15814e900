"""What reactors ask of the world, to be done at least once by a worker.

A reactor is a pure function from a recorded event to effects. The effects and the reactor's
checkpoint are stored in one transaction; a worker then performs each, and what comes of it returns
as a command whose id derives from the effect's, so that doing it twice changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID, uuid5

import msgspec

from application.execute import Context
from domain.kernel import Recorded


class ForwardRequest(msgspec.Struct, frozen=True, tag="forward_request"):
    """Tell Overseerr about a request, after ``attempt`` attempts that have failed."""

    request_id: UUID
    attempt: int | None = None


class CancelForwarding(msgspec.Struct, frozen=True, tag="cancel_forwarding"):
    """Let Overseerr let go of a request, after ``attempt`` attempts that have failed."""

    request_id: UUID
    attempt: int | None = None


class FollowUpstream(msgspec.Struct, frozen=True, tag="follow_upstream"):
    """Look how a request stands at Overseerr, which has hinted that this may have changed."""

    request_id: UUID


class SettleQuota(msgspec.Struct, frozen=True, tag="settle_quota"):
    """Give back what was used of a quota, if what it was used for was never kept."""

    account_id: UUID
    use_id: UUID
    request_id: UUID


class ReturnQuotas(msgspec.Struct, frozen=True, tag="return_quotas"):
    """Give back what was used for a request that has come to nothing at its ``version``."""

    request_id: UUID
    version: int


class FinishForgetting(msgspec.Struct, frozen=True, tag="finish_forgetting"):
    """Destroy what tells who an account was, if that was cut off."""

    account_id: UUID


class TellAbout(msgspec.Struct, frozen=True, tag="tell_about"):
    """Tell whom it concerns of the event of a request that has this ``version``."""

    request_id: UUID
    version: int


class Deliver(msgspec.Struct, frozen=True, tag="deliver"):
    """Tell a person by a channel, after ``attempt`` attempts that have failed."""

    notification_id: UUID
    channel_id: UUID
    attempt: int = 0


Effect: TypeAlias = (
    ForwardRequest
    | CancelForwarding
    | FollowUpstream
    | SettleQuota
    | ReturnQuotas
    | FinishForgetting
    | TellAbout
    | Deliver
)


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


class JobQueue(Protocol):
    """Where jobs wait for a worker. Reactors have a way of their own, with their checkpoints."""

    async def add(self, jobs: Sequence[Job]) -> None:
        """Have them performed soon, each at least once; they are durable when it returns.

        A job that waits already is not added again. Raises StoreUnavailable.
        """
        ...


def job_id(reactor: str, cause: Recorded[Any], number: int) -> UUID:
    """The id of the ``number``-th effect that ``reactor`` drew from ``cause``."""
    return uuid5(cause.metadata.event_id, f"{reactor}/{number}")
