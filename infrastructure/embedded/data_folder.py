"""The folder where one MediaNest keeps all it has, and the lock that makes it one.

::

    lock                held by the process and by its servers; its text is the process's pid
    connection.json     where the servers listen, while they run
    run/                the servers' sockets; a link to a shorter folder when the path is long
    log/                the servers' logs
    <name>.secret       generated passwords
    postgres/, valkey/  the servers' data
"""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from infrastructure.embedded.errors import DataFolderInUse, DataFolderUnusable

LOG = structlog.get_logger()

LONGEST_SOCKET_PATH = 103
"""Bytes; sun_path has 104 with its final NUL on macOS and the BSDs, 108 on Linux."""

LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432")


class ServerUrls(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Where the servers of one data folder listen; both hold a password."""

    database_url: str
    redis_url: str


class _Connection(
    ServerUrls, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True
):
    pid: int


class DataFolder:
    """A data folder that this process has to itself, until ``release`` or the process's end."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock
        """An open descriptor. Servers inherit it, so a folder is free only when they are gone."""

    @classmethod
    def claim(cls, path: Path, *, patience: float = 30.0) -> Self:
        """Take ``path``, made (mode 0700) if it does not exist.

        A claim whose process is gone waits up to ``patience`` seconds (and blocks) for the servers
        that process left behind to end. Raises DataFolderUnusable or DataFolderInUse.
        """
        path = path.absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_mode & stat.S_IWOTH:
                raise DataFolderUnusable(path, "can be written to by everybody: choose another")
            if not os.access(path, os.W_OK | os.X_OK):
                raise DataFolderUnusable(path, _why_not(PermissionError()))
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise DataFolderUnusable(path, _why_not(problem)) from problem
        try:
            _take(lock, path, patience)
            return cls(path, lock)
        except BaseException:
            os.close(lock)
            raise

    def release(self) -> None:
        """Let it go; the sockets and the connection file of servers that ran here go, too."""
        self.withdraw()
        self._remove_run()
        os.close(self.lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def folder(self, name: str) -> Path:
        """The folder of this name inside, made (mode 0700) if it does not exist."""
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def fresh_run(self) -> Path:
        """An empty folder, private and with a short path, for the servers' sockets."""
        self._remove_run()
        run = self.path / "run"
        if len(os.fsencode(run)) + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH:
            run.mkdir(mode=0o700)
            return run
        # Root's servers may run as another account, which cannot enter root's own runtime folder.
        shorter = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() else None
        run.symlink_to(tempfile.mkdtemp(prefix="medianest-", dir=shorter))
        return run.readlink()

    def secret(self, name: str) -> str:
        """The secret of this name, generated once: 43 characters that need no quoting."""
        path = self.path / f"{name}.secret"
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(32).encode())
        return path.read_text(encoding="ascii")

    def publish(self, urls: ServerUrls) -> None:
        """Let other commands on this machine find the servers, for as long as we run."""
        connection = _Connection(urls.database_url, urls.redis_url, pid=os.getpid())
        _write_private(self.path / "connection.json", msgspec.json.encode(connection))

    def withdraw(self) -> None:
        """Take back what was published."""
        (self.path / "connection.json").unlink(missing_ok=True)

    def _remove_run(self) -> None:
        run = self.path / "run"
        if run.is_symlink():
            shorter = run.readlink()
            if shorter.name.startswith("medianest-"):
                shutil.rmtree(shorter, ignore_errors=True)
            run.unlink()
        elif run.exists():
            shutil.rmtree(run)


def find_running(path: Path) -> ServerUrls | None:
    """Where the servers of the MediaNest that runs in ``path`` listen; ``None`` if none does.

    Raises DataFolderUnusable when the folder is somebody else's, or what it says is not safe.
    """
    path = path.absolute()
    try:
        if not _is_held(path / "lock"):
            return None
        found = os.open(path / "connection.json", os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(found, "rb") as file:
            status = os.fstat(found)
            if status.st_uid not in {os.geteuid(), 0} or status.st_mode & 0o077:
                raise DataFolderUnusable(path, "has a connection.json that is not private")
            connection = msgspec.json.decode(file.read(), type=_Connection)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise DataFolderUnusable(path, _why_not(problem)) from problem
    except msgspec.DecodeError as problem:
        raise DataFolderUnusable(path, f"has a damaged connection.json: {problem}") from problem
    if not _exists(connection.pid):
        return None
    return ServerUrls(connection.database_url, connection.redis_url)


def _why_not(problem: OSError) -> str:
    if isinstance(problem, (NotADirectoryError, FileExistsError)):
        return "is not a folder: choose another"
    if isinstance(problem, PermissionError):
        return f"is closed to us (user id {os.geteuid()}): choose another, or change its owner"
    return f"cannot be used: {problem.strerror}"


def _take(lock: int, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    waiting = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(lock)
            if time.monotonic() > until or (holder and _exists(holder)):
                raise DataFolderInUse(path, holder) from None
            if not waiting:
                LOG.info("waiting for servers of an earlier run to end", folder=str(path))
            waiting = True
            time.sleep(0.05)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return


def _is_held(lock_path: Path) -> bool:
    lock = os.open(lock_path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _read_pid(lock: int) -> int | None:
    text = os.pread(lock, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdecimal() else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _write_private(path: Path, content: bytes) -> None:
    """Put a file (mode 0600) there, whole and on the disk, or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Return once the names in the folder ``path`` are on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
