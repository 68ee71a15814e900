"""How a stand-in can be made to fail, as it is written on the wire and in tests.

A list of faults replaces the one before; the first that fits a call and is not used up applies.
As JSON: ``[{"fault": "status", "status": 429, "headers": {"Retry-After": "2"}, "times": 3}]``.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec


class _Limited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls a fault strikes: all, until it is lifted, where nothing narrows it."""

    times: int | None = None
    """How many calls it strikes."""
    seconds: float | None = None
    """How long it lasts."""
    method: str | None = None
    path: str = ""
    """What the path of the call begins with."""
    work_first: bool = False
    """The original has done what was asked when it fails, so only its answer is lost."""


class Status(_Limited, frozen=True, tag_field="fault", tag="status"):
    """An answer with this status, in the original's own words unless ``body`` (JSON) is given."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}


class Slow(_Limited, frozen=True, tag_field="fault", tag="slow"):
    """The right answer, ``delay`` seconds late; the work is done after the delay or before it."""

    delay: float


class Garbage(_Limited, frozen=True, tag_field="fault", tag="garbage"):
    """Status 200 with JSON that breaks off, or with the HTML page of some proxy."""

    html: bool = False


class Drop(_Limited, frozen=True, tag_field="fault", tag="drop"):
    """The connection is closed without an answer."""


class Hang(_Limited, frozen=True, tag_field="fault", tag="hang"):
    """No answer, until the caller has had enough."""


class Refuse(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="fault", tag="refuse"
):
    """Nobody listens: connections are refused and open ones cut; the state survives."""

    seconds: float | None = None


CallFault: TypeAlias = Status | Slow | Garbage | Drop | Hang
Fault: TypeAlias = CallFault | Refuse


class Faults:
    """The faults still to come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._armed: list[_Armed] = []

    def replace(self, faults: Iterable[CallFault]) -> None:
        """Forget all faults, and expect these instead."""
        now = self._clock()
        self._armed = [
            _Armed(fault, fault.times, now + fault.seconds if fault.seconds is not None else None)
            for fault in faults
        ]

    def strike(self, method: str, path: str) -> CallFault | None:
        """The fault that this call meets; it is used up by one."""
        now = self._clock()
        for armed in self._armed:
            fault = armed.fault
            if (
                (armed.left is None or armed.left > 0)
                and (armed.until is None or now < armed.until)
                and fault.method in {None, method}
                and path.startswith(fault.path)
            ):
                armed.left = None if armed.left is None else armed.left - 1
                return fault
        return None


class _Armed(msgspec.Struct):
    fault: CallFault
    left: int | None
    until: float | None
