"""How many calls are allowed, and who tried more: one stream for each policy, and for each subject.

Counting the calls is not for events; what admins decide about it and what was refused is.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id

MOST_CALLS = 100_000
LONGEST_WINDOW = 7 * 24 * 3600
"""In seconds. Every call of a window is remembered, so neither may grow for ever."""
INTERVAL = timedelta(minutes=1)
"""Between two events about one subject, who may be refused a thousand times a second."""


class Policy(StrEnum):
    """What kind of call is counted; each kind has a limit of its own."""

    GENERAL = "general"
    AUTH = "auth"
    DOWNLOAD = "download"
    ADMIN = "admin"


NEEDED_BY_ADMINS = frozenset({Policy.AUTH, Policy.ADMIN})
"""Without these no admin could sign in, or undo what was changed."""


class Limit(msgspec.Struct, frozen=True):
    """At most ``limit`` calls in any ``window_seconds``; 0 calls is nobody."""

    limit: int
    window_seconds: int

    @property
    def window(self) -> timedelta:
        """How long a call counts."""
        return timedelta(seconds=self.window_seconds)


DEFAULTS: Mapping[Policy, Limit] = {
    Policy.GENERAL: Limit(100, 3600),
    Policy.AUTH: Limit(10, 3600),
    Policy.DOWNLOAD: Limit(5, 3600),
    Policy.ADMIN: Limit(200, 3600),
}


# Events


class RateLimitChanged(Event, frozen=True, tag="rate_limit_policy.changed"):
    """From now on ``limit`` calls are allowed in any ``window_seconds``."""

    policy: Policy
    limit: int
    window_seconds: int


class RateLimitViolated(Event, frozen=True, tag="rate_limit_violation.recorded"):
    """The subject was refused ``count`` times since they were last recorded."""

    policy: Policy
    subject: str
    count: int
    at: datetime


# Commands


class ChangeLimit(Command, frozen=True):
    """Allow more calls, or fewer."""

    policy: Policy
    limit: int
    window_seconds: int


class RecordViolations(Command, frozen=True):
    """Tell that the subject was refused ``count`` times.

    ``subject`` is ``account:<uuid>`` or ``address:<uuid>``, the pseudonym of an address.
    """

    policy: Policy
    subject: str
    count: int
    at: datetime


# Refusals


class LimitOutOfRange(DomainError):
    """Fewer calls than none, or more than can be counted."""

    field = "limit"

    def __init__(self) -> None:
        super().__init__(f"Must be 0 to {MOST_CALLS} calls.")


class WindowOutOfRange(DomainError):
    """The window is shorter or longer than can be counted."""

    field = "windowSeconds"

    def __init__(self) -> None:
        super().__init__(f"Must be 1 to {LONGEST_WINDOW} seconds.")


class LocksAdminsOut(DomainError):
    """With this limit nobody could change it back."""

    field = "limit"

    def __init__(self) -> None:
        super().__init__("Must allow at least 1 call, or no admin could get in any more.")


class RecordedJustNow(DomainError):
    """Others of the subject are, or may be, within the INTERVAL; these may be ``due_at``."""

    def __init__(self, due_at: datetime) -> None:
        super().__init__("Violations of this subject were recorded just now.")
        self.due_at = due_at


# Decisions about a limit


def rate_limit_policy_id(policy: Policy) -> UUID:
    """One stream for each policy."""
    return stream_id("rate_limit_policy", policy)


def check_limit(policy: Policy, limit: Limit) -> None:
    """Raises LimitOutOfRange, WindowOutOfRange or LocksAdminsOut for what no policy may have."""
    if not 0 <= limit.limit <= MOST_CALLS:
        raise LimitOutOfRange
    if not 1 <= limit.window_seconds <= LONGEST_WINDOW:
        raise WindowOutOfRange
    if limit.limit == 0 and policy in NEEDED_BY_ADMINS:
        raise LocksAdminsOut


def change_limit(command: ChangeLimit, limit: Limit | None) -> list[RateLimitChanged]:
    """What follows from ``command``; raises what ``check_limit`` does.

    The default may be chosen too, and then stays when the default changes.
    """
    wanted = Limit(command.limit, command.window_seconds)
    check_limit(command.policy, wanted)
    if wanted == limit:
        return []
    return [RateLimitChanged(command.policy, wanted.limit, wanted.window_seconds)]


def limit_after(_: Limit | None, event: RateLimitChanged) -> Limit:
    """The limit after ``event``."""
    return Limit(event.limit, event.window_seconds)


rate_limit_policies: Decider[ChangeLimit, Limit, RateLimitChanged] = Decider(
    "rate_limit_policy", (RateLimitChanged,), change_limit, limit_after
)


# Decisions about violations


class Violations(msgspec.Struct, frozen=True):
    """When those of a subject were last recorded."""

    last_at: datetime


def rate_limit_violations_id(policy: Policy, subject: str, at: datetime) -> UUID:
    """One stream a day for each subject and policy, so that none is longer than 1440 events."""
    return stream_id("rate_limit_violation", policy, subject, at.date().isoformat())


def record_violations(
    command: RecordViolations, violations: Violations | None
) -> list[RateLimitViolated]:
    """What follows from ``command``; raises RecordedJustNow.

    Nothing is recorded in the first INTERVAL of a day: the stream of the day before, which is not
    seen here, may have an event of its last moment.

    Raises ValueError for a subject in the clear: events stay for ever, and may name no address.
    """
    if not _PSEUDONYMOUS.fullmatch(command.subject):
        raise ValueError("A subject must be account:<uuid> or address:<uuid>.")
    midnight = command.at.replace(hour=0, minute=0, second=0, microsecond=0)
    due_at = max(midnight, violations.last_at if violations else midnight) + INTERVAL
    if command.at < due_at:
        raise RecordedJustNow(due_at)
    return [RateLimitViolated(command.policy, command.subject, command.count, command.at)]


def violations_after(_: Violations | None, event: RateLimitViolated) -> Violations:
    """What is known after ``event``."""
    return Violations(event.at)


rate_limit_violations: Decider[RecordViolations, Violations, RateLimitViolated] = Decider(
    "rate_limit_violation", (RateLimitViolated,), record_violations, violations_after
)

_PSEUDONYMOUS = re.compile(r"(account|address):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
