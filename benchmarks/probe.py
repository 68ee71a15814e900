"""A probe of an event loop, from inside: how late does it do what was due?"""

import asyncio

import msgspec

EVERY = 0.002
"""Seconds between two looks; the loop's own clock has a thousandth."""


class Lags(msgspec.Struct, frozen=True):
    """By how many seconds the loop was late, each time that it was looked at."""

    seconds: list[float]


async def probe_loop(seconds: float) -> Lags:
    """Look at the running loop again and again for so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    lags: list[float] = []
    due = loop.time() + EVERY
    while due < until:
        await asyncio.sleep(due - loop.time())
        lags.append(loop.time() - due)
        due = loop.time() + EVERY
    return Lags(lags)
