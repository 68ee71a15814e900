"""A small role for a supervisor: ``role.py NAME JOURNAL [BEHAVIOUR]...``.

It writes what happens to it into the journal, a line each: name, what, pid, time.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from infrastructure.supervision import announce_ready, watch_parent


def main(name: str, journal: str, *behaviours: str) -> None:
    def note(what: str, pid: int) -> None:
        with Path(journal).open("a") as lines:
            lines.write(f"{name} {what} {pid} {time.monotonic()}\n")

    def stop(number: int, _frame: FrameType | None) -> None:
        note(signal.Signals(number).name, os.getpid())
        if "stubborn" not in behaviours:
            sys.exit()

    signal.signal(signal.SIGTERM, stop)
    watch_parent(patience=1.0)
    note("started", os.getpid())
    if "failing" in behaviours:
        sys.exit(3)
    if "forking" in behaviours:
        note("forked", subprocess.Popen(("sleep", "60")).pid)
    if "silent" not in behaviours:
        announce_ready()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
