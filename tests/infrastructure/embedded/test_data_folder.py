import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded import DataFolder, DataFolderInUse, DataFolderUnusable, ServerUrls
from infrastructure.embedded.data_folder import find_running
from tests.infrastructure.embedded.ordinary import run_as_ordinary_user

URLS = ServerUrls("postgresql://medianest:pw@/medianest?host=%2Frun", "unix://:pw@/run/valkey.sock")

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from infrastructure.embedded.data_folder import DataFolder, ServerUrls
folder = DataFolder.claim(Path(sys.argv[1]))
folder.publish(ServerUrls("postgresql://one", "unix://two"))
if sys.argv[2:]:
    subprocess.Popen(("sleep", sys.argv[2]), pass_fds=(folder.lock,), stdout=subprocess.DEVNULL)
print("claimed", flush=True)
time.sleep(60)
"""


def holder(path: Path, *lingering: str) -> subprocess.Popen[bytes]:
    """Another process that has claimed ``path``; a child of it may linger for some seconds."""
    process = subprocess.Popen(
        (sys.executable, "-c", HOLDER, str(path), *lingering), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"claimed\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    with DataFolder.claim(tmp_path / "new" / "data") as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.path / "lock").stat().st_mode) == 0o600


def test_a_folder_in_use_is_refused_with_the_pid_of_its_holder(tmp_path: Path) -> None:
    other = holder(tmp_path)
    try:
        with pytest.raises(DataFolderInUse, match=f"in use by process {other.pid}:") as refusal:
            DataFolder.claim(tmp_path)
        assert refusal.value.pid == other.pid
    finally:
        end(other)


def test_a_released_folder_can_be_claimed_again(tmp_path: Path) -> None:
    DataFolder.claim(tmp_path).release()
    DataFolder.claim(tmp_path).release()


def test_a_claim_waits_for_what_a_killed_holder_left_running(tmp_path: Path) -> None:
    end(holder(tmp_path, "0.7"))
    with pytest.raises(DataFolderInUse):
        DataFolder.claim(tmp_path, patience=0)
    DataFolder.claim(tmp_path, patience=10).release()


def test_a_path_that_is_a_file_or_under_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(DataFolderUnusable, match="is not a folder: choose another"):
            DataFolder.claim(path)


def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(DataFolderUnusable, match="can be written to by everybody"):
        DataFolder.claim(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for a file system of the kernel's own")
def test_a_file_system_that_takes_no_folder_is_refused_even_for_root() -> None:
    with pytest.raises(DataFolderUnusable, match=r"/sys/medianest (is closed|cannot be used)"):
        DataFolder.claim(Path("/sys/medianest"))


@pytest.mark.parametrize("used_before", [False, True])
async def test_an_ordinary_user_is_refused_a_folder_that_is_closed_to_them(
    tmp_path: Path, used_before: bool
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    if used_before:
        (closed / "lock").touch()
    closed.chmod(0o500)
    script = (
        "from pathlib import Path; from infrastructure.embedded.data_folder import DataFolder\n"
        f"DataFolder.claim(Path({str(closed)!r}))"
    )
    finished = await run_as_ordinary_user((sys.executable, "-c", script), tmp_path / "log")
    assert finished.status == 1
    assert "DataFolderUnusable" in finished.words
    assert "is closed to us (user id " in finished.words


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    with DataFolder.claim(tmp_path) as folder:
        secret = folder.secret("valkey")
        assert len(secret) == 43
        assert secret != folder.secret("postgres")
        assert stat.S_IMODE((tmp_path / "valkey.secret").stat().st_mode) == 0o600
    with DataFolder.claim(tmp_path) as folder:
        assert folder.secret("valkey") == secret


def test_a_short_path_has_its_sockets_inside(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s")
    with DataFolder.claim(path) as folder:
        run_folder = folder.fresh_run()
        assert run_folder == path / "run"
        assert stat.S_IMODE(run_folder.stat().st_mode) == 0o700
        (run_folder / "left behind").touch()
        assert not list(folder.fresh_run().iterdir())
    assert not run_folder.exists()


def test_a_long_path_has_its_sockets_in_a_short_private_folder(tmp_path: Path) -> None:
    with DataFolder.claim(tmp_path / ("long" * 25)) as folder:
        run_folder = folder.fresh_run()
        assert len(os.fsencode(run_folder / ".s.PGSQL.5432")) <= 103
        assert stat.S_IMODE(run_folder.stat().st_mode) == 0o700
        assert (folder.path / "run").readlink() == run_folder
        again = folder.fresh_run()
        assert not run_folder.exists()
        assert again.exists()
    assert not again.exists()


def test_running_servers_are_found_by_their_folder(tmp_path: Path) -> None:
    assert find_running(tmp_path) is None
    with DataFolder.claim(tmp_path) as folder:
        assert find_running(tmp_path) is None
        folder.publish(URLS)
        assert stat.S_IMODE((tmp_path / "connection.json").stat().st_mode) == 0o600
        assert find_running(tmp_path) == URLS
        folder.withdraw()
        assert find_running(tmp_path) is None
        folder.publish(URLS)
    assert find_running(tmp_path) is None


def test_what_a_killed_holder_published_is_not_believed(tmp_path: Path) -> None:
    other = holder(tmp_path)
    assert find_running(tmp_path) == ServerUrls("postgresql://one", "unix://two")
    end(other)
    assert (tmp_path / "connection.json").exists()
    assert find_running(tmp_path) is None


def test_what_a_killed_holder_published_is_not_believed_while_its_servers_end(
    tmp_path: Path,
) -> None:
    end(holder(tmp_path, "0.7"))
    assert find_running(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b'{"databaseUrl": "a", "redisUrl": "b", "pid": 1}', 0o644, "not private"),
        (b'{"databaseUrl": "a", "redisUrl": "b", "pid": 1, "x": 2}', 0o600, "damaged"),
        (b'{"databaseUrl": "a", "pid": 1}', 0o600, "damaged"),
        (b"", 0o600, "damaged"),
    ],
)
def test_an_unsafe_or_damaged_connection_file_is_refused(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    with DataFolder.claim(tmp_path):
        (tmp_path / "connection.json").write_bytes(content)
        (tmp_path / "connection.json").chmod(mode)
        with pytest.raises(DataFolderUnusable, match=reason):
            find_running(tmp_path)


def test_the_pid_in_the_lock_is_the_holders_even_after_a_longer_one(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4194303999\n")
    with DataFolder.claim(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_holder_that_is_stopped_by_a_signal_lets_the_folder_go(tmp_path: Path) -> None:
    other = holder(tmp_path)
    other.send_signal(signal.SIGTERM)
    other.wait()
    DataFolder.claim(tmp_path, patience=0).release()
