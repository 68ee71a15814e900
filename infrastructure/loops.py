"""Keeps a loop running: what fails is told and started again, and never dies silently."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

log = structlog.get_logger()

FIRST_DELAY = 0.1
LONGEST_DELAY = 15.0
STABLE_SECONDS = 60.0
"""A loop that ran this long before it failed begins again with the first delay."""


async def keep_running(
    name: str, run: Callable[[], Awaitable[None]], *, longest_delay: float = LONGEST_DELAY
) -> NoReturn:
    """Run ``run`` for ever, with a growing delay after each failure; ends only by cancellation."""
    loop = asyncio.get_running_loop()
    delay = FIRST_DELAY
    told: str | None = None
    told_at = loop.time()
    while True:
        started = loop.time()
        try:
            await run()
            log.warning("loop ended", loop=name)
        except Exception as error:
            # A server that is away for a day is not news every second; the traceback is so once.
            what = f"{type(error).__name__}: {error}"
            if what != told or loop.time() - told_at >= LONGEST_DELAY:
                told, told_at = what, loop.time()
                log.error(  # noqa: TRY400 - the traceback once
                    "loop failed",
                    loop=name,
                    error=what,
                    retry_in=delay,
                    exc_info=delay == FIRST_DELAY,
                )
        if loop.time() - started > STABLE_SECONDS:
            delay = FIRST_DELAY
        await asyncio.sleep(delay)
        delay = min(delay * 2, longest_delay)
