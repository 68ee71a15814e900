"""What every port stands on: its errors, the time and new ids."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID


class PortError(Exception):
    """The world did not do its part; the message is fit for a person."""


class Retriable(PortError):
    """The same may work later; ``retry_after`` says when, if the world did."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Clock(Protocol):
    """The time, so that tests may choose it."""

    def __call__(self) -> datetime:
        """Now, in UTC."""
        ...


class Ids(Protocol):
    """New ids, ordered by time, so that indexes grow at one end."""

    def __call__(self) -> UUID:
        """A UUID version 7."""
        ...
