import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from structlog.testing import capture_logs

from infrastructure.supervision import announce_ready, watch_parent
from infrastructure.supervision.processes import StartFailed
from infrastructure.supervision.services import RestartPolicy
from infrastructure.supervision.supervisor import Child, Supervisor, until_signal

ROLE = str(Path(__file__).with_name("embedded") / "role.py")

AT_ONCE = RestartPolicy(first_delay=0.1, longest_delay=0.4)

both_ways = pytest.mark.parametrize("portable", [False, True])


class Line(NamedTuple):
    name: str
    what: str
    pid: int
    at: float


class Journal:
    """What the roles wrote down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, what: str, name: str = "") -> list[Line]:
        found: list[Line] = []
        for text in self.path.read_text().splitlines() if self.path.exists() else ():
            role, event, pid, at = text.rsplit(" ", 3)
            if event == what and role.startswith(name):
                found.append(Line(role, event, int(pid), float(at)))
        return found

    async def until(self, count: int, what: str) -> list[Line]:
        async with asyncio.timeout(20):
            while True:
                lines = self.lines(what)
                if len(lines) >= count:
                    return lines
                await asyncio.sleep(0.02)

    def role(self, name: str, *behaviours: str, count: int = 1, stop_within: float = 10.0) -> Child:
        argv = (sys.executable, ROLE, name, str(self.path), *behaviours)
        return Child(name=name, argv=argv, count=count, stop_within=stop_within)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


async def until_dead(pid: int) -> None:
    while True:
        if not lives(pid):
            return
        await asyncio.sleep(0.01)


def test_delays_double_up_to_the_longest() -> None:
    delays = list(islice(RestartPolicy().delays(), 7))
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@both_ways
async def test_entering_waits_until_every_process_is_ready(
    journal: Journal, portable: bool
) -> None:
    roles = [journal.role("worker", count=2), journal.role("api")]
    async with Supervisor(roles, portable=portable):
        started = journal.lines("started")
        assert sorted(line.name for line in started) == ["api", "worker", "worker"]
        assert all(lives(line.pid) for line in started)
    assert not any(lives(line.pid) for line in started)


@both_ways
async def test_leaving_stops_the_last_first_and_equal_ones_together(
    journal: Journal, portable: bool
) -> None:
    roles = [journal.role("projector"), journal.role("worker", count=2), journal.role("api")]
    async with Supervisor(roles, portable=portable):
        began = time.monotonic()
    assert time.monotonic() - began < 3
    stops = journal.lines("SIGTERM")
    assert [line.name for line in stops] == ["api", "worker", "worker", "projector"]


@both_ways
async def test_one_that_ends_before_it_is_ready_is_reported_and_the_rest_stopped(
    journal: Journal, portable: bool
) -> None:
    roles = [journal.role("worker"), journal.role("api", "failing")]
    with pytest.raises(StartFailed, match=r"^api ended with exit status 3 before it was ready$"):
        async with Supervisor(roles, portable=portable):
            raise AssertionError
    assert not any(lives(line.pid) for line in journal.lines("started"))


async def test_one_that_never_is_ready_is_reported_and_stopped(journal: Journal) -> None:
    roles = [journal.role("worker"), journal.role("api", "silent")]
    with pytest.raises(StartFailed, match=r"^api was not ready within 1 s$"):
        async with Supervisor(roles, ready_within=1.0):
            raise AssertionError
    assert len(journal.lines("SIGTERM", "api")) == 1
    assert not any(lives(line.pid) for line in journal.lines("started"))


async def test_a_program_that_does_not_exist_is_reported() -> None:
    nothing = Child(name="api", argv=("/no/such/program",))
    with pytest.raises(StartFailed, match=r"^api ended with exit status 123 before it was ready$"):
        async with Supervisor([nothing], portable=False):
            raise AssertionError
    with pytest.raises(StartFailed, match=r"^api cannot be started: No such file"):
        async with Supervisor([nothing], portable=True):
            raise AssertionError


@both_ways
async def test_one_that_dies_is_restarted_after_a_growing_delay(
    journal: Journal, portable: bool
) -> None:
    with capture_logs() as logs:
        async with Supervisor([journal.role("api")], policy=AT_ONCE, portable=portable):
            for deaths in range(1, 5):
                os.kill(journal.lines("started")[-1].pid, signal.SIGKILL)
                await journal.until(deaths + 1, "started")
    died = [line for line in logs if line["event"] == "child died"]
    assert [line["restart_in"] for line in died] == [0.1, 0.2, 0.4, 0.4]
    assert {(line["child"], line["reason"]) for line in died} == {("api", "was killed by SIGKILL")}
    starts = [line.at for line in journal.lines("started")]
    waits = [after - before for before, after in pairwise(starts)]
    assert all(wait > least for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.4), strict=True))


async def test_a_stable_run_earns_the_first_delay_again(journal: Journal) -> None:
    policy = RestartPolicy(first_delay=0.05, longest_delay=10.0, stable_after=0.5)
    with capture_logs() as logs:
        async with Supervisor([journal.role("api")], policy=policy):
            for deaths, stable in ((1, False), (2, False), (3, True)):
                await asyncio.sleep(0.6 if stable else 0)
                os.kill(journal.lines("started")[-1].pid, signal.SIGKILL)
                await journal.until(deaths + 1, "started")
                await asyncio.sleep(0.1)  # until it is ready, which is when its run begins
    delays = [line["restart_in"] for line in logs if line["event"] == "child died"]
    assert delays == [0.05, 0.1, 0.05]


async def test_one_that_ends_by_itself_is_restarted_too(journal: Journal) -> None:
    with capture_logs() as logs:
        async with Supervisor([journal.role("api")], policy=AT_ONCE):
            os.kill(journal.lines("started")[-1].pid, signal.SIGTERM)
            await journal.until(2, "started")
    assert "ended with exit status 0" in [line.get("reason") for line in logs]


async def test_a_restart_that_fails_is_repeated(journal: Journal, tmp_path: Path) -> None:
    script = (
        f"if [ -e '{tmp_path}/broken' ]; then"
        f""" echo "api tried $$ 0" >> '{journal.path}'; exit 7; fi; exec "$@" """
    )
    steady = journal.role("api")
    child = Child(name="api", argv=("/bin/sh", "-c", script, "sh", *steady.argv))
    with capture_logs() as logs:
        async with Supervisor([child], policy=AT_ONCE):
            (tmp_path / "broken").touch()
            os.kill(journal.lines("started")[-1].pid, signal.SIGKILL)
            await journal.until(2, "tried")
            (tmp_path / "broken").unlink()
            await journal.until(2, "started")
    reasons = [line["reason"] for line in logs if line["event"] == "child died"]
    assert reasons[:2] == [
        "was killed by SIGKILL",
        "api ended with exit status 7 before it was ready",
    ]


@both_ways
async def test_one_that_does_not_stop_is_killed_at_its_deadline(
    journal: Journal, portable: bool
) -> None:
    roles = [journal.role("worker", "stubborn", stop_within=0.5)]
    async with Supervisor(roles, portable=portable):
        began = time.monotonic()
    assert 0.5 < time.monotonic() - began < 3
    [line] = journal.lines("SIGTERM")
    assert not lives(line.pid)


async def test_hurry_cuts_a_stop_short(journal: Journal) -> None:
    hurry = asyncio.Event()
    async with Supervisor([journal.role("worker", "stubborn", stop_within=60.0)], hurry=hurry):
        asyncio.get_running_loop().call_later(0.3, hurry.set)
        began = time.monotonic()
    assert 0.3 < time.monotonic() - began < 5
    assert not lives(journal.lines("started")[0].pid)


@both_ways
async def test_what_a_role_leaves_behind_ends_with_it(journal: Journal, portable: bool) -> None:
    async with Supervisor([journal.role("worker", "forking")], portable=portable):
        [forked] = journal.lines("forked")
    async with asyncio.timeout(5):
        await until_dead(forked.pid)


async def test_a_stop_is_finished_even_when_it_is_cancelled(journal: Journal) -> None:
    async def whole_life() -> None:
        roles = [journal.role("worker"), journal.role("api", "stubborn", stop_within=0.5)]
        async with Supervisor(roles):
            pass

    life = asyncio.create_task(whole_life())
    await journal.until(1, "SIGTERM")
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    assert [line.name for line in journal.lines("SIGTERM")] == ["api", "worker"]
    assert not any(lives(line.pid) for line in journal.lines("started"))


async def test_a_failed_start_is_cleaned_up_even_when_it_is_cancelled(journal: Journal) -> None:
    async def whole_life() -> None:
        roles = [journal.role("api", "stubborn", "silent", stop_within=0.5)]
        async with Supervisor(roles, ready_within=0.5):
            raise AssertionError

    life = asyncio.create_task(whole_life())
    await journal.until(1, "SIGTERM")
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    assert not any(lives(line.pid) for line in journal.lines("started"))


async def test_a_cancelled_start_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0), Supervisor([journal.role("api", "silent", count=3)]):
            raise AssertionError
    started = journal.lines("started")
    assert started
    assert not any(lives(line.pid) for line in started)


async def test_processes_of_a_child_share_the_sockets_and_environment_given_to_them() -> None:
    serve = (
        "import os, socket, sys\n"
        "from infrastructure.supervision import announce_ready\n"
        "listener = socket.socket(fileno=int(sys.argv[1]))\n"
        "announce_ready()\n"
        "while True:\n"
        "    connection, _ = listener.accept()\n"
        "    connection.sendall(f'{os.getpid()} {os.environ[\"WORD\"]}'.encode())\n"
        "    connection.close()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = Child(
            name="api",
            argv=(sys.executable, "-c", serve, str(listener.fileno())),
            env={"WORD": "hello"},
            pass_fds=(listener.fileno(),),
            count=2,
        )
        answers: set[str] = set()
        async with Supervisor([child]), asyncio.timeout(10):
            while len(answers) < 2:
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                answers.add((await reader.read()).decode())
                writer.close()
        assert {answer.split()[1] for answer in answers} == {"hello"}


async def test_a_terminals_ctrl_c_does_not_reach_the_children(journal: Journal) -> None:
    async with Supervisor([journal.role("api")]):
        [line] = journal.lines("started")
        assert os.getsid(line.pid) == os.getpgid(line.pid) == line.pid
        assert os.getpgid(line.pid) != os.getpgrp()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_first_signal_ends_the_body_and_a_second_hurries(number: signal.Signals) -> None:
    cleaned_up: list[bool] = []
    async with until_signal() as hurry:
        try:
            signal.raise_signal(number)
            await asyncio.sleep(10)
        finally:
            cleaned_up.append(hurry.is_set())
            signal.raise_signal(number)
            async with asyncio.timeout(5):
                await hurry.wait()
            cleaned_up.append(hurry.is_set())
    assert cleaned_up == [False, True]
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_cancellation_that_no_signal_asked_for_goes_on() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), until_signal():
            await asyncio.sleep(10)


def test_without_a_supervisor_a_role_announces_to_nobody_and_watches_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MEDIANEST_READY_FD", "MEDIANEST_LIFELINE_FD"):
        monkeypatch.delenv(name, raising=False)
    announce_ready()
    watch_parent()


async def test_a_role_is_told_its_words_once_they_are_known_and_again_after_a_restart(
    tmp_path: Path,
) -> None:
    """It listens before there is anything to say, and nobody waits for it meanwhile."""
    heard = tmp_path / "heard"
    program = (
        "import os, signal, sys; from infrastructure.supervision import announce_ready;"
        " words = sys.stdin.read(); announce_ready();"
        f" open({str(heard)!r}, 'a').write(f'{{words}} {{os.getpid()}}\\n'); signal.pause()"
    )
    words: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    child = Child(name="api", argv=(sys.executable, "-c", program), words=words)
    entering = asyncio.create_task(Supervisor([child], ready_within=5, policy=AT_ONCE).__aenter__())
    await asyncio.sleep(0.5)
    assert not entering.done()
    words.set_result(b"go")

    async def times_heard(count: int) -> list[list[str]]:
        while True:
            lines = heard.read_text().splitlines() if heard.exists() else []
            if len(lines) >= count:
                return [line.split() for line in lines]
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack, asyncio.timeout(20):
        stack.push_async_exit(await entering)
        ((word, pid),) = await times_heard(1)
        assert word == "go"
        os.kill(int(pid), signal.SIGKILL)
        _, (word, pid_after) = await times_heard(2)
        assert word == "go"
        assert pid_after != pid


async def test_roles_that_are_never_told_anything_are_stopped(journal: Journal) -> None:
    words: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    role = journal.role("api")
    child = Child(name=role.name, argv=role.argv, words=words)
    entering = asyncio.create_task(Supervisor([child]).__aenter__())
    (started,) = await journal.until(1, "started")
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not lives(started.pid)
