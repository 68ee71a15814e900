"""What is measured while we serve."""

from typing import Protocol


class Metrics(Protocol):
    """Counts and times, at a cost of microseconds; names nobody and holds no ids."""

    def request_answered(
        self, method: str, route: str | None, status: int | None, seconds: float
    ) -> None:
        """A request was answered. ``route`` is the template, ``None`` for an unknown address.

        ``status`` is ``None`` when the client went away before any.
        """
        ...

    def call_refused(self, policy: str) -> None:
        """A call was over the limit of ``policy``."""
        ...

    def sign_in_ended(self, method: str, outcome: str) -> None:
        """Somebody tried to sign in, by ``method`` such as ``password``."""
        ...

    def redis_is_away(self, away: bool) -> None:  # noqa: FBT001 - it is the whole statement
        """Whether Redis could be reached the last time it was needed."""
        ...

    def error_noted(self, critical: bool) -> None:  # noqa: FBT001 - as above
        """An unexpected error was noted."""
        ...

    def errors_dropped(self, times: int) -> None:
        """So many unexpected errors were not stored, because too many others wait."""
        ...


class Exposition(Protocol):
    """What was measured, for those who collect it."""

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus, version 0.0.4."""
        ...
