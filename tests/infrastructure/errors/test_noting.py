import subprocess
import sys

import pytest
import structlog

from infrastructure.errors.noting import UNNOTED, noting

log = structlog.get_logger()


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"route": "/x/{id}"}, "/x/{id}"),
        ({"loop": "bell"}, "bell"),
        ({"subscriber": "accounts", "position": 7}, "accounts"),
        ({"route": None}, "it failed"),
        ({}, "it failed"),
    ],
)
def test_what_is_logged_with_its_traceback_is_noted(keys: dict[str, object], where: str) -> None:
    noted: list[tuple[BaseException, str]] = []
    error = ValueError("no")
    with noting(lambda error, where: noted.append((error, where))):
        log.error("it failed", exc_info=error, **keys)
        log.error("it failed", exc_info=(ValueError, error, None), **keys)
        try:
            raise error
        except ValueError:
            log.exception("it failed", **keys)
    assert noted == [(error, where)] * 3


def test_other_lines_are_not_and_nothing_is_afterwards() -> None:
    noted: list[BaseException] = []
    with noting(lambda error, _: noted.append(error)):
        log.error("it failed", error="no", exc_info=False)
        log.exception("it failed")  # noqa: LOG004 - nothing was raised
        log.bind(**{UNNOTED: True}).error("not noted", exc_info=ValueError())
    log.error("it failed", exc_info=ValueError())
    assert noted == []


PROGRAM = """
import asyncio, logging, structlog
from infrastructure.errors.noting import noting
from infrastructure.telemetry import configure_logging
configure_logging("error", "worker")
log = structlog.get_logger()
log.error("before")  # the logger is kept from now on
with noting(lambda error, where: print(type(error).__name__, where, flush=True)):
    log.error("it failed", exc_info=ZeroDivisionError())
    logging.getLogger("somebody.else").error("theirs failed", exc_info=LookupError())

    async def main():
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del task

    async def fail():
        raise KeyError("nobody waits for this")

    asyncio.run(main())
"""


def test_those_of_libraries_and_of_tasks_that_nobody_awaits_are_noted_too() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=60, text=True
    )
    assert run.stdout.splitlines() == [
        "ZeroDivisionError it failed",
        "LookupError somebody.else",
        "KeyError asyncio",
    ]
