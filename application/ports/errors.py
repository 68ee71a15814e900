"""What can be asked of the unexpected errors there were."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class LoggedError(msgspec.Struct, frozen=True):
    """All errors of one fingerprint, counted; nothing in it is secret or names a person.

    ``place`` is where in our code it came from (``module:function``), ``caught_in`` where it was
    last caught, such as a route or a loop. ``frames`` are our part of its traceback, outermost
    first, as ``module:function:line``. ``message`` is that of the last one, scrubbed.
    """

    fingerprint: str
    kind: str
    place: str
    caught_in: str
    message: str
    frames: tuple[str, ...]
    critical: bool
    process: str
    count: int
    first_at: datetime
    last_at: datetime
    first_correlation_id: str | None = None
    last_correlation_id: str | None = None


class ErrorLog(Protocol):
    """The errors there were, for admins."""

    async def page(
        self, *, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[LoggedError]:
        """The ``limit`` errors that came last, behind the last_at and fingerprint of ``before``.

        Raises StoreUnavailable.
        """
        ...
