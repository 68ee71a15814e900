import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, MutableMapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from structlog.testing import capture_logs

from infrastructure.embedded import (
    DataFolder,
    DataFolderUnusable,
    EmbeddedServers,
    RootRefused,
    ServerUrls,
    UnsuitableVersion,
    find_running,
    identity,
    postgres,
    servers,
)
from infrastructure.embedded.binaries import PostgresPrograms, find_postgres
from infrastructure.supervision.launch import Identity
from infrastructure.supervision.processes import StartFailed
from infrastructure.supervision.services import RestartPolicy
from tests.infrastructure.embedded.ordinary import run_as_ordinary_user

HOUSE = Path(__file__).with_name("house.py")

ELSEWHERE = "postgresql://elsewhere"

AT_ONCE = RestartPolicy(first_delay=0.05, longest_delay=0.4)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one way only")


@pytest.fixture
def new_folder(tmp_path: Path) -> Iterator[DataFolder]:
    with DataFolder.claim(tmp_path / "data") as folder:
        yield folder


@pytest.fixture(scope="module")
async def used_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which both servers have run, and remember something."""
    path = tmp_path_factory.mktemp("used") / "data"
    with DataFolder.claim(path) as folder:
        async with EmbeddedServers(folder) as urls:
            remember(urls)
    return path


@pytest.fixture
def folder(used_path: Path, tmp_path: Path) -> Iterator[DataFolder]:
    """A copy of a used data folder, which saves each test half a second."""
    with DataFolder.claim(shutil.copytree(used_path, tmp_path / "data")) as folder:
        yield folder


@pytest.fixture(scope="module")
async def running(
    used_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[tuple[DataFolder, ServerUrls]]:
    """Servers for the tests that only look."""
    path = shutil.copytree(used_path, tmp_path_factory.mktemp("running") / "data")
    with DataFolder.claim(path) as folder:
        async with EmbeddedServers(folder, postgres_settings={"work_mem": "5MB"}) as urls:
            yield folder, urls


@pytest.fixture
def reachable_folder() -> Iterator[DataFolder]:
    """A data folder that other accounts can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="medianest-test-") as parent:
        Path(parent).chmod(0o711)
        with DataFolder.claim(Path(parent) / "data") as folder:
            yield folder


@pytest.fixture
def closed_path(tmp_path: Path) -> Path:
    """A folder that no other account can enter."""
    tmp_path.chmod(0o700)
    return tmp_path


def ask(redis_url: str, *command: str) -> Any:
    redis_py: Any = redis  # whose annotations leave keyword arguments open
    with closing(redis_py.Redis.from_url(redis_url)) as client:
        return client.execute_command(*command)


def remember(urls: ServerUrls) -> None:
    with psycopg.connect(urls.database_url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('événement')")
    ask(urls.redis_url, "SET", "kept", "for a second at least")


def recall(urls: ServerUrls) -> tuple[object, object]:
    with psycopg.connect(urls.database_url) as connection:
        row = connection.execute("SELECT upper(word) FROM kept").fetchone()
    return row, ask(urls.redis_url, "GET", "kept")


REMEMBERED = (("ÉVÉNEMENT",), b"for a second at least")


def effective_capabilities(pid: int) -> int:
    """Those that Linux knows of, as a bit mask."""
    status = Path(f"/proc/{pid}/status").read_text()
    [mask] = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return int(mask, base=16)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner(path: Path) -> int:
    return path.lstat().st_uid


def setting(urls: ServerUrls, name: str) -> str:
    with psycopg.connect(urls.database_url) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def processes(folder: DataFolder) -> dict[psutil.Process, list[str]]:
    """What runs in ``folder``, and its command line. (The session's own servers run elsewhere.)"""
    found: dict[psutil.Process, list[str]] = {}
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if Path(child.cwd()).is_relative_to(folder.path):
                found[child] = child.cmdline()
    return found


def server(folder: DataFolder, name: str) -> psutil.Process | None:
    for process, words in processes(folder).items():
        if words and Path(words[0]).name == name:
            return process
    return None


async def until_logged(logs: Sequence[MutableMapping[str, Any]], event: str, count: int) -> None:
    while True:
        if [line["event"] for line in logs].count(event) >= count:
            return
        await asyncio.sleep(0.02)


async def serving_again(urls: ServerUrls) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                recall(urls)
            except (psycopg.OperationalError, redis.RedisError):
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("portable", [False, True])
async def test_a_restart_keeps_the_data_and_a_stop_leaves_nothing(
    new_folder: DataFolder, portable: bool
) -> None:
    async with EmbeddedServers(new_folder, portable=portable) as urls:
        assert find_running(new_folder.path) == urls
        remember(urls)
    assert not processes(new_folder)
    assert find_running(new_folder.path) is None
    async with EmbeddedServers(new_folder, portable=portable) as urls:
        assert recall(urls) == REMEMBERED


async def test_durability_is_left_on(running: tuple[DataFolder, ServerUrls]) -> None:
    _, urls = running
    assert setting(urls, "fsync") == setting(urls, "synchronous_commit") == "on"
    assert setting(urls, "full_page_writes") == setting(urls, "data_checksums") == "on"
    kept = ask(urls.redis_url, "CONFIG GET", "appendonly", "appendfsync")
    assert kept == {"appendonly": "yes", "appendfsync": "everysec"}


async def test_our_settings_and_those_on_top_are_in_force(
    running: tuple[DataFolder, ServerUrls],
) -> None:
    _, urls = running
    assert setting(urls, "max_connections") == "200"
    assert setting(urls, "work_mem") == "5MB"


async def test_the_servers_listen_on_private_sockets_only(
    running: tuple[DataFolder, ServerUrls],
) -> None:
    folder, _ = running
    run_folder = (folder.path / "run").resolve()
    assert mode(run_folder) == 0o700
    sockets = {path.name: mode(path) for path in run_folder.iterdir() if path.is_socket()}
    assert sockets == {".s.PGSQL.5432": 0o700, "valkey.sock": 0o700}
    for name in ("postgres", "valkey-server"):
        process = server(folder, name)
        assert process is not None
        assert process.net_connections("inet") == []


async def test_passwords_are_in_private_files_and_on_no_command_line(
    running: tuple[DataFolder, ServerUrls],
) -> None:
    folder, _ = running
    for name in ("postgres.secret", "valkey.secret", "valkey/valkey.conf", "connection.json"):
        assert mode(folder.path / name) == 0o600
    assert not (folder.path / "postgres" / "password").exists()
    words = " ".join(word for line in processes(folder).values() for word in line)
    assert "valkey-server" in words
    assert folder.secret("postgres") not in words
    assert folder.secret("valkey") not in words


async def test_the_servers_hold_the_folder_too_so_that_nobody_takes_it_from_under_them(
    running: tuple[DataFolder, ServerUrls],
) -> None:
    folder, _ = running
    for name in ("postgres", "valkey-server"):
        process = server(folder, name)
        assert process is not None
        assert folder.path / "lock" in {Path(file.path) for file in process.open_files()}


async def test_nobody_gets_in_without_the_password(
    running: tuple[DataFolder, ServerUrls],
) -> None:
    folder, urls = running
    for wrong in ("", ":guess"):
        url = urls.database_url.replace(f":{folder.secret('postgres')}", wrong)
        with pytest.raises(psycopg.OperationalError, match=r"no password|authentication failed"):
            psycopg.connect(url)
    with pytest.raises(redis.AuthenticationError):
        ask(urls.redis_url.replace(f":{folder.secret('valkey')}@", ""), "PING")


async def test_only_the_server_that_was_not_given_runs(folder: DataFolder) -> None:
    async with EmbeddedServers(folder, database_url=ELSEWHERE) as urls:
        assert urls.database_url == ELSEWHERE
        assert ask(urls.redis_url, "PING")
        assert server(folder, "postgres") is None
        assert find_running(folder.path) == urls
    async with EmbeddedServers(folder, redis_url="redis://elsewhere") as urls:
        assert urls.redis_url == "redis://elsewhere"
        assert setting(urls, "cluster_name") == "medianest"
        assert server(folder, "valkey-server") is None


@pytest.mark.parametrize(("portable", "end"), [(False, "killed by SIGKILL"), (True, "status 137")])
async def test_a_server_that_dies_is_restarted_with_its_data(
    folder: DataFolder, portable: bool, end: str
) -> None:
    with capture_logs() as logs:
        async with EmbeddedServers(folder, policy=AT_ONCE, portable=portable) as urls:
            for name in ("postgres", "valkey-server"):
                dead = server(folder, name)
                assert dead is not None
                dead.kill()
                await serving_again(urls)
                assert server(folder, name) not in {dead, None}
            assert recall(urls) == REMEMBERED
    first, *others = [line for line in logs if line["event"] == "child died"]
    assert (first["child"], first["restart_in"]) == ("postgres", 0.05)
    assert end in first["reason"]
    assert others[-1]["child"] == "valkey"
    assert not processes(folder)


async def test_a_restart_is_repeated_until_what_hinders_it_is_mended(folder: DataFolder) -> None:
    configuration = folder.path / "valkey" / "valkey.conf"
    with capture_logs() as logs:
        async with EmbeddedServers(folder, database_url=ELSEWHERE, policy=AT_ONCE) as urls:
            configuration.unlink()
            configuration.mkdir()
            dead = server(folder, "valkey-server")
            assert dead is not None
            dead.kill()
            async with asyncio.timeout(10):
                await until_logged(logs, "child died", count=3)
            configuration.rmdir()
            async with asyncio.timeout(10):
                await until_logged(logs, "child restarted", count=1)
            assert ask(urls.redis_url, "GET", "kept") == b"for a second at least"


async def test_a_server_that_cannot_start_says_why_and_leaves_nothing(folder: DataFolder) -> None:
    with pytest.raises(StartFailed, match=r"postgres ended with exit status 1 .*\n.*work_mem"):
        async with EmbeddedServers(folder, postgres_settings={"work_mem": "nonsense"}):
            raise AssertionError
    with pytest.raises(StartFailed, match=r"(?s)valkey ended with .*maxmemory"):
        async with EmbeddedServers(folder, valkey_settings={"maxmemory": "nonsense"}):
            raise AssertionError
    assert not processes(folder)
    assert find_running(folder.path) is None
    async with EmbeddedServers(folder) as urls:
        assert (
            recall(urls) == REMEMBERED
        )  # Valkey's, too: it was not its data that stood in the way


async def test_what_cannot_be_made_in_the_folder_is_named(folder: DataFolder) -> None:
    (folder.path / "log" / "valkey.log").unlink()
    (folder.path / "log" / "valkey.log").mkdir()
    with pytest.raises(DataFolderUnusable, match=r"cannot be used: Is a directory .*valkey\.log"):
        async with EmbeddedServers(folder):
            raise AssertionError
    assert not processes(folder)


async def test_a_server_that_is_not_ready_in_time_is_stopped(folder: DataFolder) -> None:
    with pytest.raises(StartFailed, match=r"was not ready within 0\.001 s"):
        async with EmbeddedServers(folder, ready_within=0.001):
            raise AssertionError
    assert not processes(folder)


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.3])
async def test_a_cancelled_start_leaves_nothing(new_folder: DataFolder, moment: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(moment), EmbeddedServers(new_folder):
            raise AssertionError
    assert not processes(new_folder)


async def test_a_half_made_cluster_is_made_again(new_folder: DataFolder) -> None:
    unfinished = new_folder.folder("postgres") / "data.unfinished"
    (unfinished / "base").mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    async with EmbeddedServers(new_folder, redis_url="redis://elsewhere") as urls:
        assert setting(urls, "cluster_name") == "medianest"
    assert not unfinished.exists()


@pytest.fixture
def somebody() -> Iterator[int]:
    """The pid of a process that lives and has nothing to do with us."""
    with subprocess.Popen(("sleep", "60")) as process:
        yield process.pid
        process.kill()


async def test_a_stale_pid_file_does_not_keep_postgres_from_starting(
    folder: DataFolder, somebody: int
) -> None:
    # As after a power cut, when the pid that PostgreSQL had now belongs to something else.
    cluster = folder.path / "postgres" / "data"
    (cluster / "postmaster.pid").write_text(f"{somebody}\n{cluster}\n0\n5432\n\n\n0 0\n")
    async with EmbeddedServers(folder) as urls:
        assert recall(urls) == REMEMBERED


@pytest.mark.parametrize(("made_by", "said"), [("12\n", "12"), (None, r"\(unknown\)")])
async def test_a_cluster_of_another_version_is_refused_and_left_alone(
    folder: DataFolder, made_by: str | None, said: str
) -> None:
    version = folder.path / "postgres" / "data" / "PG_VERSION"
    present = version.read_text()
    version.unlink()
    if made_by is not None:
        version.write_text(made_by)
    with pytest.raises(UnsuitableVersion, match=rf"made by PostgreSQL {said}, and this is \d\d:"):
        async with EmbeddedServers(folder):
            raise AssertionError
    version.write_text(present)
    async with EmbeddedServers(folder) as urls:
        assert recall(urls) == REMEMBERED


async def test_a_postgres_that_is_too_old_is_refused(
    reachable_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = reachable_folder.path.parent / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.19'\n")
    old.chmod(0o755)
    monkeypatch.setattr(postgres, "find_postgres", lambda: PostgresPrograms(old.parent))
    with pytest.raises(UnsuitableVersion, match=r"14\.19.*needs PostgreSQL >= 15"):
        async with EmbeddedServers(reachable_folder):
            raise AssertionError


async def test_a_postgres_that_is_no_program_is_refused(
    reachable_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = PostgresPrograms(reachable_folder.path.parent)
    monkeypatch.setattr(postgres, "find_postgres", lambda: nothing)
    with pytest.raises(
        (StartFailed, RootRefused), match=r"cannot execute .*/postgres: No such file"
    ):
        async with EmbeddedServers(reachable_folder):
            raise AssertionError


async def test_data_that_valkey_cannot_read_is_put_aside(folder: DataFolder) -> None:
    [log] = (folder.path / "valkey" / "data" / "appendonlydir").glob("*.incr.aof")
    damaged = log.read_bytes() + bytes(4096)  # what a power cut leaves of a file that was growing
    log.write_bytes(damaged)
    with capture_logs() as logs:
        async with EmbeddedServers(folder, database_url=ELSEWHERE) as urls:
            assert ask(urls.redis_url, "GET", "kept") is None
    assert [line["event"] for line in logs].count("unreadable data put aside") == 1
    [aside] = (folder.path / "valkey" / "unreadable" / "appendonlydir").glob("*.incr.aof")
    assert aside.read_bytes() == damaged


def test_a_long_log_is_put_aside_while_its_server_writes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LONGEST_LOG", 10)
    with (tmp_path / "postgresql.log").open("a") as log:
        log.write("much too long")
        log.flush()
        servers.put_long_logs_aside(tmp_path)
        log.write("short")
        log.flush()
        servers.put_long_logs_aside(tmp_path)
    assert (tmp_path / "postgresql.log").read_text() == "short"
    assert (tmp_path / "postgresql.log.1").read_text() == "much too long"


@as_root
@pytest.mark.parametrize("portable", [False, True])
async def test_root_can_run_postgres_as_an_ordinary_account(
    reachable_folder: DataFolder, portable: bool
) -> None:
    path = reachable_folder.path
    before = {parent: parent.stat().st_mode for parent in path.parents}
    account = EmbeddedServers(reachable_folder, identities=[Identity.ACCOUNT], portable=portable)
    async with account as urls:
        remember(urls)
        process = server(reachable_folder, "postgres")
        assert process is not None
        assert process.username() == "nobody"
    assert mode(path) == 0o710
    assert {parent: parent.stat().st_mode for parent in path.parents} == before
    # And back: what the account owned is root's again.
    async with EmbeddedServers(reachable_folder, portable=portable) as urls:
        assert recall(urls) == REMEMBERED


@as_root
async def test_root_gets_by_in_a_folder_that_belongs_to_somebody_else(
    reachable_folder: DataFolder,
) -> None:
    os.chown(reachable_folder.path, 1, 1)  # as a volume that a container is given may
    async with EmbeddedServers(reachable_folder, redis_url="redis://elsewhere") as urls:
        assert setting(urls, "cluster_name") == "medianest"
    assert owner(reachable_folder.path) == 1


@as_root
async def test_root_copies_programs_that_the_account_cannot_reach(
    reachable_folder: DataFolder, closed_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = find_postgres()
    assert installed.package is not None
    monkeypatch.setattr(postgres, "find_postgres", lambda: installed.copied_to(closed_path))
    async with EmbeddedServers(reachable_folder, identities=[Identity.ACCOUNT]) as urls:
        remember(urls)
        process = server(reachable_folder, "postgres")
        assert process is not None
        assert Path(process.exe()).is_relative_to(reachable_folder.path / "postgres")


@as_root
async def test_root_is_told_when_there_is_no_account(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "ACCOUNT", "no-such-account")
    with pytest.raises(RootRefused, match="there is no account `no-such-account`: start MediaNest"):
        async with EmbeddedServers(folder):
            raise AssertionError


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a root that can do nothing")
def test_root_without_any_other_identity_is_told_why(tmp_path: Path) -> None:
    """A root whose namespace has one user id only, and may not make another namespace."""
    house = (sys.executable, str(HOUSE), str(tmp_path / "data"), "once")
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    trial = ("unshare", "--map-root-user", "sh", "-c", script, "sh")
    if subprocess.run((*trial, "true"), stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("user namespaces are not permitted here")
    done = subprocess.run((*trial, *house), stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert (
        "RootRefused: PostgreSQL refuses to run as root, and there is no other way" in done.stderr
    )
    assert "namespace: cannot run as an ordinary account: No space left" in done.stderr
    assert f"account: cannot be given {tmp_path / 'data'}: Invalid argument" in done.stderr


@as_root
async def test_root_is_told_what_to_do_when_no_account_can_reach_the_folder(
    closed_path: Path,
) -> None:
    with (
        DataFolder.claim(closed_path / "data") as folder,
        pytest.raises(RootRefused, match=r"cannot enter .*start MediaNest as an ordinary user"),
    ):
        async with EmbeddedServers(folder, identities=[Identity.ACCOUNT]):
            raise AssertionError
    assert not processes(folder)


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux's")
async def test_root_keeps_its_files_in_a_user_namespace(folder: DataFolder) -> None:
    async with EmbeddedServers(folder, identities=[Identity.NAMESPACE]):
        process = server(folder, "postgres")
        assert process is not None
        assert effective_capabilities(process.pid) == 0
        assert {owner(path) for path in folder.path.rglob("*")} == {0}


async def test_an_ordinary_user_needs_nothing_special(tmp_path: Path) -> None:
    finished = await run_as_ordinary_user(
        (sys.executable, str(HOUSE), str(tmp_path / "data"), "once"), tmp_path / "log"
    )
    assert finished.status == 0, finished.words
    log = (tmp_path / "log").read_text()
    assert "ready\n" in log
