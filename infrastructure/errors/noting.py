"""An unexpected error is one that is logged with its traceback: what is logged so is noted, too.

So there is one rule for every process and every library, and no place that catches an error has to
know of the recorder.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import structlog

WHERE = ("route", "loop", "subscriber", "library")
"""Keys of a log line that say where an error was caught; without any its event does."""
UNNOTED = "unnoted"
"""Key of a line about the noting itself, which would else be noted without end."""


@contextmanager
def noting(note: Callable[[BaseException, str], None]) -> Generator[None]:
    """Call ``note`` with each error that is logged meanwhile, and with where it was caught."""

    def hear(_: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
        if "exc_info" in line and UNNOTED not in line and (error := _error_of(line["exc_info"])):
            where = next((line[key] for key in WHERE if line.get(key)), line["event"])
            note(error, str(where))
        return line

    # Loggers that exist keep this very list, so it is changed in place.
    processors = structlog.get_config()["processors"]
    processors.insert(0, hear)
    try:
        yield
    finally:
        processors.remove(hear)


def _error_of(exc_info: Any) -> BaseException | None:
    match exc_info:
        case BaseException() as error:
            return error
        case (_, error, _):
            return error
        case None | False:
            return None
        case _:
            return sys.exc_info()[1]
