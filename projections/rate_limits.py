"""The limits that admins have chosen, and who was refused how often; folds and queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.kernel import Recorded
from domain.rate_limits import (
    Policy,
    RateLimitChanged,
    RateLimitViolated,
    rate_limit_policies,
    rate_limit_violations,
)
from projections.kernel import Key, ReadModel

R = TypeVar("R", bound=msgspec.Struct)


class RateLimitPolicyRow(msgspec.Struct, frozen=True):
    """A limit that was changed: ``calls`` in any ``window_seconds``. ``changed_by`` is an actor."""

    policy: Policy
    calls: int
    window_seconds: int
    changed_at: datetime
    changed_by: str


class RateLimitViolationRow(msgspec.Struct, frozen=True):
    """How often a subject was refused under a policy, and in how many events that was told.

    ``last_position`` orders the list, newest last.
    """

    policy: Policy
    subject: str
    count: int
    events: int
    first_at: datetime
    last_at: datetime
    last_position: int


def policy_keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """One row for each policy."""
    return ((recorded.event.policy,),)


def fold_policy(_: RateLimitPolicyRow | None, recorded: Recorded[Any]) -> RateLimitPolicyRow:
    """The row after the event."""
    event: RateLimitChanged = recorded.event
    return RateLimitPolicyRow(
        event.policy, event.limit, event.window_seconds, recorded.at, recorded.metadata.actor
    )


def violation_keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """One row for each subject and policy, over all of their days."""
    return ((recorded.event.policy, recorded.event.subject),)


def fold_violation(
    row: RateLimitViolationRow | None, recorded: Recorded[Any]
) -> RateLimitViolationRow:
    """The row after the event."""
    event: RateLimitViolated = recorded.event
    return RateLimitViolationRow(
        policy=event.policy,
        subject=event.subject,
        count=event.count + (row.count if row else 0),
        events=1 + (row.events if row else 0),
        first_at=row.first_at if row else event.at,
        last_at=event.at,
        last_position=recorded.position,
    )


RATE_LIMIT_POLICIES: ReadModel[RateLimitPolicyRow] = ReadModel(
    name="rate_limit_policies",
    version=1,
    row=RateLimitPolicyRow,
    key=("policy",),
    events=rate_limit_policies.events,
    keys=policy_keys,
    fold=fold_policy,
)

RATE_LIMIT_VIOLATIONS: ReadModel[RateLimitViolationRow] = ReadModel(
    name="rate_limit_violations",
    version=1,
    row=RateLimitViolationRow,
    key=("policy", "subject"),
    events=rate_limit_violations.events,
    keys=violation_keys,
    fold=fold_violation,
    indexes=("last_position", "policy, last_position"),
)


class RateLimitQueries:
    """What can be asked about limits."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def policies(self) -> Sequence[RateLimitPolicyRow]:
        """The limits that were changed."""
        return await self._rows(RateLimitPolicyRow, "SELECT * FROM rate_limit_policies_v1", [])

    async def violations(
        self, policy: Policy | None, *, before: int | None, limit: int
    ) -> Sequence[RateLimitViolationRow]:
        """The ``limit`` last refused, before the position ``before``; ``None`` is any policy.

        Who is refused again while one turns the pages moves to the first page.
        """
        conditions: list[LiteralString] = []
        values: list[Any] = []
        if policy is not None:
            conditions.append("policy = %s")
            values.append(policy)
        if before is not None:
            conditions.append("last_position < %s")
            values.append(before)
        where: LiteralString = "WHERE " + " AND ".join(conditions) if conditions else ""
        return await self._rows(
            RateLimitViolationRow,
            f"SELECT * FROM rate_limit_violations_v1 {where} ORDER BY last_position DESC LIMIT %s",
            [*values, limit],
        )

    async def _rows(self, row: type[R], query: LiteralString, values: Sequence[Any]) -> list[R]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"SELECT coalesce(json_agg(found), '[]')::text FROM ({query}) AS found", values
            )
            (document,) = await cursor.fetchone() or ("[]",)
        return msgspec.json.decode(document, type=list[row])
