"""The gate every call goes through: may this session, and not too often, in one question."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """What a session, an API key or an account is worth, as of a version of its stream.

    ``value`` is for the caller; the gate reads the rest. A session stands while it is ``open``, its
    account is too, and both have the same ``epoch``, unless it is the one that the account has
    ``spared`` from its last change of epoch.
    """

    id: UUID
    version: int
    open: bool
    epoch: int
    value: bytes
    spared: UUID | None = None


class Visit(msgspec.Struct, frozen=True):
    """A call that wants in: its session (or API key) and account, and what it counts against.

    ``subject`` is whose calls are counted together, such as ``account:<uuid>`` or
    ``address:<pseudonym>``. Under a ``strict`` policy nobody gets in uncounted.
    """

    policy: str
    limit: int
    window: timedelta
    subject: str
    session_id: UUID | None = None
    account_id: UUID | None = None
    strict: bool = False


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says.

    ``session`` and ``account`` are what the gate remembers of them; ``None`` is not known here, and
    says nothing about whether they stand. When both are known and do not stand, the call is not
    counted. ``remaining`` is ``None`` when nobody could count. ``reset_after`` is when the oldest
    counted call leaves the window (zero when there is none). ``retry_after`` is set on a refusal:
    after it the next call passes.
    """

    session: Standing | None
    account: Standing | None
    remaining: int | None
    reset_after: timedelta
    retry_after: timedelta | None = None


class Gate(Protocol):
    """Counts calls exactly, over all processes, and remembers what sessions are worth.

    It may lose everything it holds, and then counts from nothing; it decides nothing alone. It
    never raises: without its store, strict policies are counted in this process alone against half
    of the limit, and others are let through.
    """

    async def enter(self, visit: Visit) -> Passage:
        """Count the visit, or refuse it."""
        ...

    async def remember(self, standings: Iterable[Standing]) -> None:
        """Keep these for all processes, but for those that are known in a newer version."""
        ...
