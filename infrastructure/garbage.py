"""How often a process looks for garbage that reference counts do not find."""

import gc

ALLOCATIONS = 1_000_000
"""More than the objects of two of a subscriber's pages. Fewer, and every page is walked while it is
still in use: at Python's own 700, that was more than half of the CPU time of a rebuild."""


def collect_seldom() -> None:
    """Never again walk what start-up has made, and what comes later only when there is much of it.

    Events and rows are frozen and point one way, so reference counts free them at once. What does
    form circles, such as a kept exception, waits longer, and is bounded by ``ALLOCATIONS``.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 10, 10)
