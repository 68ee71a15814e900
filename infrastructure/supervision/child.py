"""A supervised child's own side: saying that it is ready, and ending with its supervisor."""

import os
import signal
import threading

READY_FD = "MEDIANEST_READY_FD"
LIFELINE_FD = "MEDIANEST_LIFELINE_FD"


def announce_ready() -> None:
    """Tell the supervisor that this process now serves. Without one, and repeated, a no-op."""
    if ready_fd := os.environ.pop(READY_FD, None):
        with os.fdopen(int(ready_fd), "wb") as supervisor:
            supervisor.write(b"ready\n")


def watch_parent() -> None:
    """Ask this process to stop (SIGTERM to itself) when its supervisor is gone, however it ended.

    Call it first of all. A no-op where the kernel sees to it (Linux), and without a supervisor.
    """
    if lifeline := os.environ.pop(LIFELINE_FD, None):
        threading.Thread(
            target=_follow, args=(int(lifeline),), name="lifeline", daemon=True
        ).start()


def _follow(lifeline: int) -> None:
    os.read(lifeline, 1)  # nobody ever writes: this returns when the last writer is gone
    os.kill(os.getpid(), signal.SIGTERM)
