"""A supervised child's own side: saying that it is ready, and ending with its supervisor."""

import os
import signal
import threading
import time

READY_FD = "MEDIANEST_READY_FD"
LIFELINE_FD = "MEDIANEST_LIFELINE_FD"


def announce_ready() -> None:
    """Tell the supervisor that this process now serves. Without one, and repeated, a no-op."""
    if ready_fd := os.environ.pop(READY_FD, None):
        with os.fdopen(int(ready_fd), "wb") as supervisor:
            supervisor.write(b"ready\n")


def watch_parent(*, patience: float = 30.0) -> None:
    """End this process when its supervisor is gone, however that ended: call it first of all.

    SIGTERM comes first, as from the supervisor, and SIGKILL ``patience`` seconds later. A no-op
    without a supervisor.
    """
    if lifeline := os.environ.pop(LIFELINE_FD, None):
        watch = (int(lifeline), patience)
        threading.Thread(target=_follow, args=watch, name="lifeline", daemon=True).start()


def _follow(lifeline: int, patience: float) -> None:
    os.read(lifeline, 1)  # nobody ever writes: this returns when the last writer is gone
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)
