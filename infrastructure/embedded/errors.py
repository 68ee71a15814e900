"""Why the embedded servers cannot run here; every message is fit for a person and names the mend.

::

    EmbeddedError
    ├── DataFolderUnusable        not a folder, not ours, not writable, open to everybody
    │   └── DataFolderInUse       another process holds it
    ├── ServerMissing             no wheel for this platform, and nothing on PATH
    ├── UnsuitableVersion         the server is too old, or the data is another version's
    └── RootRefused               PostgreSQL does not run as root, and nobody can stand in

A server that does not come up raises ``infrastructure.supervision.processes.StartFailed``.
"""

from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot run as asked."""


class DataFolderUnusable(EmbeddedError):
    """The data folder cannot be used; ``reason`` is a clause and says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the data folder {path} {reason}")
        self.path = path


class DataFolderInUse(DataFolderUnusable):
    """One MediaNest at a time; ``pid`` is that of the process which has it, if it is known."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(path, f"is in use by {holder}: stop that first, or choose another folder")
        self.pid = pid


class ServerMissing(EmbeddedError):
    """Neither a wheel nor PATH has the server."""


class UnsuitableVersion(EmbeddedError):
    """The server cannot be used with our code, or with the data that is there."""


class RootRefused(EmbeddedError):
    """PostgreSQL refuses to run as root, and no ordinary identity can be taken."""
