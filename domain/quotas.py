"""How much each person may ask for in a rolling window: one stream for each person.

What is asked for is counted before it is kept, so that two requests at once cannot both take the
last place; what then was not kept, or was refused by an admin, is given back.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never, get_args
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id
from domain.media_requests import MediaType

MOST_REQUESTS = 1000
LONGEST_WINDOW = 366
"""In days. Every use within a window is remembered, so neither may grow for ever."""


class Quota(msgspec.Struct, frozen=True):
    """At most ``limit`` requests in any ``days`` days; 0 is none at all."""

    limit: int
    days: int

    @property
    def window(self) -> timedelta:
        """How long a request counts."""
        return timedelta(days=self.days)


class Use(msgspec.Struct, frozen=True):
    """What one asking has used: a place, from ``at`` on. ``id`` is that of the asking's command."""

    id: UUID
    media_type: MediaType
    request_id: UUID
    at: datetime


# Events


class QuotaUsed(Event, frozen=True, tag="quota.used"):
    """The person is about to ask for something."""

    account_id: UUID
    use: Use


class QuotaReturned(Event, frozen=True, tag="quota.returned"):
    """What was used is free again: it was not kept, or was refused."""

    use_id: UUID


class QuotaOverridden(Event, frozen=True, tag="quota.overridden"):
    """An admin lets the person ask for more or less than the house's rule; ``None`` is any."""

    media_type: MediaType
    quota: Quota | None
    by: UUID


class QuotaOverrideEnded(Event, frozen=True, tag="quota.override_ended"):
    """The house's rule holds for the person again."""

    media_type: MediaType
    by: UUID


QuotaEvent: TypeAlias = QuotaUsed | QuotaReturned | QuotaOverridden | QuotaOverrideEnded


# Commands


class UseQuota(Command, frozen=True):
    """Take a place for what is about to be asked for; ``rule`` is the house's."""

    account_id: UUID
    use: Use
    rule: Quota | None


class ReturnQuota(Command, frozen=True):
    """Give a place back."""

    use_id: UUID


class OverrideQuota(Command, frozen=True):
    """Let the person ask for more or less than the house's rule; ``None`` is any."""

    media_type: MediaType
    quota: Quota | None
    by: UUID


class EndQuotaOverride(Command, frozen=True):
    """Let the house's rule hold for the person again."""

    media_type: MediaType
    by: UUID


QuotaCommand: TypeAlias = UseQuota | ReturnQuota | OverrideQuota | EndQuotaOverride


# Decisions


class Standing(msgspec.Struct, frozen=True):
    """What is left of a quota: ``uses`` count within its window, oldest first.

    ``free_at`` is when the next place is free, if none is and ever one will be.
    """

    media_type: MediaType
    quota: Quota | None
    uses: tuple[Use, ...]
    free_at: datetime | None

    @property
    def remaining(self) -> int | None:
        """How many places are free; ``None`` is any number."""
        return None if self.quota is None else max(0, self.quota.limit - len(self.uses))


class QuotaUsedUp(DomainError):
    """No place is free; ``standing`` says what has used them, and when the next is."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(_explanation(standing))
        self.standing = standing


class Quotas(msgspec.Struct, frozen=True):
    """What a person has used, and what an admin has decided for them."""

    uses: tuple[Use, ...] = ()
    overrides: Mapping[MediaType, Quota | None] = {}

    def standing(self, media_type: MediaType, rule: Quota | None, at: datetime) -> Standing:
        """What is left at a time of what the person may ask for."""
        quota = self.overrides.get(media_type, rule)
        if quota is None:
            return Standing(media_type, None, (), None)
        uses = [use for use in self.uses if use.media_type is media_type]
        uses = sorted((use for use in uses if use.at > at - quota.window), key=lambda use: use.at)
        free_at = None
        if quota.limit and len(uses) >= quota.limit:
            free_at = uses[len(uses) - quota.limit].at + quota.window
        return Standing(media_type, quota, tuple(uses), free_at)


def quotas_id(account_id: UUID) -> UUID:
    """One stream for each person."""
    return stream_id("quota", str(account_id))


def decide(command: QuotaCommand, quotas: Quotas | None) -> list[QuotaEvent]:
    """What follows from ``command``; raises QuotaUsedUp."""
    quotas = quotas or Quotas()
    match command:
        case UseQuota(account_id, use, rule):
            if use in quotas.uses:
                return []
            standing = quotas.standing(use.media_type, rule, use.at)
            if standing.remaining == 0:
                raise QuotaUsedUp(standing)
            return [QuotaUsed(account_id, use)]
        case ReturnQuota(use_id):
            used = any(use.id == use_id for use in quotas.uses)
            return [QuotaReturned(use_id)] if used else []
        case OverrideQuota(media_type, quota, by):
            same = media_type in quotas.overrides and quotas.overrides[media_type] == quota
            return [] if same else [QuotaOverridden(media_type, quota, by)]
        case EndQuotaOverride(media_type, by):
            overridden = media_type in quotas.overrides
            return [QuotaOverrideEnded(media_type, by)] if overridden else []
        case _:
            assert_never(command)


def evolve(quotas: Quotas | None, event: QuotaEvent) -> Quotas:
    """What is known after ``event``; uses that are older than any window are forgotten."""
    quotas = quotas or Quotas()
    match event:
        case QuotaUsed(_, use):
            oldest = use.at - timedelta(days=LONGEST_WINDOW)
            kept = tuple(each for each in quotas.uses if each.at > oldest)
            return msgspec.structs.replace(quotas, uses=(*kept, use))
        case QuotaReturned(use_id):
            uses = tuple(use for use in quotas.uses if use.id != use_id)
            return msgspec.structs.replace(quotas, uses=uses)
        case QuotaOverridden(media_type, quota):
            overrides = {**quotas.overrides, media_type: quota}
            return msgspec.structs.replace(quotas, overrides=overrides)
        case QuotaOverrideEnded(media_type):
            left = {of: quota for of, quota in quotas.overrides.items() if of is not media_type}
            return msgspec.structs.replace(quotas, overrides=left)
        case _:
            assert_never(event)


quotas: Decider[QuotaCommand, Quotas, QuotaEvent] = Decider(
    "quota", get_args(QuotaEvent), decide, evolve
)


def _explanation(standing: Standing) -> str:
    quota, what = standing.quota, _NAMES[standing.media_type]
    if quota is None or quota.limit == 0:
        return f"You may not ask for {what}."
    days = f"{quota.days} days" if quota.days > 1 else "a day"
    when = f"{standing.free_at:%Y-%m-%d %H:%M} UTC" if standing.free_at else "never"
    return (
        f"You have asked for {len(standing.uses)} of at most {quota.limit} {what} in {days};"
        f" the next place is free at {when}."
    )


_NAMES = {MediaType.MOVIE: "films", MediaType.TV: "series"}
