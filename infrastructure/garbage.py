"""How often a process looks for garbage that reference counts do not find."""

import gc

ALLOCATIONS = 100_000
"""More than the objects of the events that are in hand at once. With fewer, they are walked while
they are in use, again and again: at Python's own 700, that is half of the CPU time of a rebuild."""


def collect_seldom() -> None:
    """Never again walk what start-up has made, and what comes later only when there is much of it.

    Events and rows are frozen and point one way, so reference counts free them at once. What does
    form circles, such as a kept exception, waits longer, and is bounded by ``ALLOCATIONS``.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 10, 10)
