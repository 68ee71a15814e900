"""However a supervisor ends, nothing of it is left running, and what was stored is kept."""

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from infrastructure.embedded import DataFolder, EmbeddedServers, find_running

HOUSE = "tests.infrastructure.embedded.house"
ROOT = Path(__file__).parents[2]

both_ways = pytest.mark.parametrize("portable", [(), ("portable",)], ids=["kernel", "portable"])


class House:
    """A supervisor in a process of its own, with all that it starts."""

    def __init__(self, path: Path, *words: str) -> None:
        self.path = path
        self.supervisor = psutil.Popen(
            (sys.executable, "-m", HOUSE, str(path), *words),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self.supervisor.stdout.readline() == "ready\n", self.supervisor.communicate()[1]

    def family(self) -> list[psutil.Process]:
        """What runs in our folder or was started with its name: all but the supervisor.

        A zombie has neither, and does not run.
        """
        return [
            process
            for process in psutil.process_iter(["cmdline", "cwd"])
            if process.pid != self.supervisor.pid
            and str(self.path)
            in " ".join((process.info["cwd"] or "", *(process.info["cmdline"] or ())))
        ]

    def programs(self) -> set[str]:
        words = (word for process in self.family() for word in process.info["cmdline"])
        return {"postgres", "valkey-server", "role.py"} & {Path(word).name for word in words}

    def journal(self) -> list[str]:
        lines = (self.path / "journal").read_text().splitlines()
        return [" ".join(line.split()[:2]) for line in lines]

    def wait_until(self, reached: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not reached():
            assert time.monotonic() < until
            time.sleep(0.005)

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """The exit status after a signal, and the seconds that it took."""
        began = time.monotonic()
        self.supervisor.send_signal(number)
        status = self.supervisor.wait(30)
        return status, time.monotonic() - began

    def left_behind(self) -> list[psutil.Process]:
        """What still runs although it had ten seconds to end."""
        until = time.monotonic() + 10
        while (family := self.family()) and time.monotonic() < until:
            time.sleep(0.02)
        return family

    def kill_all(self) -> None:
        """As a power cut does."""
        for process in (self.supervisor, *self.family()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.supervisor.communicate()


@pytest.fixture(scope="module")
def used_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of a house that has run once."""
    path = tmp_path_factory.mktemp("used") / "data"
    subprocess.run((sys.executable, "-m", HOUSE, str(path), "once"), cwd=ROOT, check=True)
    (path / "journal").unlink()
    return path


@pytest.fixture
def houses() -> Iterator[list[House]]:
    built: list[House] = []
    yield built
    for house in built:
        house.kill_all()


@pytest.fixture
def start(used_path: Path, tmp_path: Path, houses: list[House]) -> Callable[..., House]:
    """Starts a house in a copy of the used data folder."""

    def start_one(*words: str) -> House:
        house = House(shutil.copytree(used_path, tmp_path / "data"), *words)
        houses.append(house)
        return house

    return start_one


@pytest.fixture
def build(start: Callable[..., House]) -> Callable[..., House]:
    """Starts a house and waits until it is ready."""

    def build_one(*words: str) -> House:
        house = start(*words)
        house.wait_until_ready()
        assert house.programs() == {"postgres", "role.py", "valkey-server"}
        return house

    return build_one


@both_ways
def test_a_killed_supervisor_leaves_nothing_running(
    build: Callable[..., House], portable: tuple[str, ...]
) -> None:
    house = build("stubborn", *portable)
    house.end(signal.SIGKILL)
    DataFolder.claim(house.path).release()  # waits for the servers, which have it until they end
    assert house.left_behind() == []
    assert {"worker SIGTERM", "api SIGTERM"} < set(house.journal())
    log = (house.path / "log" / "postgresql.log").read_text()
    assert log.rstrip().endswith("database system is shut down")


@pytest.mark.parametrize(
    ("number", "portable"), [(signal.SIGTERM, ()), (signal.SIGINT, ("portable",))]
)
def test_a_stopped_supervisor_stops_all_in_order(
    build: Callable[..., House], number: signal.Signals, portable: tuple[str, ...]
) -> None:
    house = build(*portable)
    assert find_running(house.path) is not None
    status, took = house.end(number)
    assert status == 0, house.supervisor.communicate()[1]
    assert took < 3
    assert house.journal()[-2:] == ["api SIGTERM", "worker SIGTERM"]
    assert house.left_behind() == []
    stopped = [
        line.split("child=")[1].split()[0]
        for line in house.supervisor.communicate()[1].splitlines()
        if "child stopped" in line
    ]
    assert stopped[:2] == ["api", "worker"]
    assert sorted(stopped[2:]) == ["postgres", "valkey"]
    assert not (house.path / "connection.json").exists()
    assert not (house.path / "run").exists()


def test_a_second_ctrl_c_hurries(build: Callable[..., House]) -> None:
    house = build("stubborn")
    house.supervisor.send_signal(signal.SIGINT)
    house.wait_until(lambda: "worker SIGTERM" in house.journal())
    status, took = house.end(signal.SIGINT)
    assert status == 0, house.supervisor.communicate()[1]
    assert took < 5  # where the worker alone would have had 30
    assert house.left_behind() == []


async def test_what_was_committed_survives_a_power_cut(build: Callable[..., House]) -> None:
    house = build()
    urls = find_running(house.path)
    assert urls is not None
    with psycopg.connect(urls.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        for number in range(100):
            connection.execute("INSERT INTO kept VALUES (%s)", (number,))
    house.kill_all()
    assert house.left_behind() == []
    with DataFolder.claim(house.path) as folder:
        async with EmbeddedServers(folder, redis_url="redis://elsewhere") as urls:
            with psycopg.connect(urls.database_url) as connection:
                row = connection.execute("SELECT count(*), max(number) FROM kept").fetchone()
    assert row == (100, 99)
    log = (house.path / "log" / "postgresql.log").read_text()
    assert "automatic recovery in progress" in log


@pytest.mark.parametrize("all_at_once", [False, True])
async def test_a_first_start_that_was_killed_is_made_good(
    tmp_path: Path, houses: list[House], all_at_once: bool
) -> None:
    house = House(tmp_path / "data")
    houses.append(house)
    unfinished = house.path / "postgres" / "data.unfinished"
    house.wait_until((unfinished / "PG_VERSION").exists)
    if all_at_once:
        house.kill_all()
        assert unfinished.exists()
    else:
        house.end(signal.SIGKILL)
    assert house.left_behind() == []
    assert not (house.path / "postgres" / "data").exists()
    with DataFolder.claim(house.path) as folder:
        async with EmbeddedServers(folder) as urls:
            with psycopg.connect(urls.database_url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not unfinished.exists()


@both_ways
@pytest.mark.parametrize("moment", ["run/valkey.sock", "postgres/data/postmaster.pid", "journal"])
def test_a_supervisor_killed_while_it_starts_leaves_nothing_running(
    start: Callable[..., House], portable: tuple[str, ...], moment: str
) -> None:
    house = start(*portable)
    house.wait_until((house.path / moment).exists)
    house.end(signal.SIGKILL)
    assert house.left_behind() == []


async def test_the_next_start_after_a_kill_needs_no_pause(build: Callable[..., House]) -> None:
    house = build()
    house.end(signal.SIGKILL)
    with DataFolder.claim(house.path) as folder:
        async with asyncio.timeout(10), EmbeddedServers(folder) as urls:
            with psycopg.connect(urls.database_url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
