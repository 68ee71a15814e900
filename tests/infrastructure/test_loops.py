import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from infrastructure import loops
from infrastructure.loops import keep_running


@asynccontextmanager
async def kept_running(
    run: Callable[[], Awaitable[None]], longest_delay: float
) -> AsyncGenerator[None]:
    task = asyncio.create_task(keep_running("a loop", run, longest_delay=longest_delay))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_loop_that_fails_is_run_again_and_told_once_while_it_fails_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "FIRST_DELAY", 0.001)
    failures = iter([OSError("away")] * 50 + [OSError("refused")] * 50)
    ran_to_the_end = asyncio.Event()

    async def run() -> None:
        if failure := next(failures, None):
            raise failure
        ran_to_the_end.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with kept_running(run, longest_delay=0.002), asyncio.timeout(5):
            await ran_to_the_end.wait()
    assert [line["error"] for line in logs] == ["OSError: away", "OSError: refused"]
    assert [line["exc_info"] for line in logs] == [True, False]


async def test_one_that_goes_on_failing_is_told_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(loops, "LONGEST_DELAY", 0.1)
    runs = 0
    ran_often = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 40:
            ran_often.set()
        raise OSError("away")

    with capture_logs() as logs:
        async with kept_running(run, longest_delay=0.01), asyncio.timeout(5):
            await ran_often.wait()
    assert 3 <= len(logs) < runs


async def test_one_that_ends_is_told_and_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FIRST_DELAY", 0.001)
    ran_again = asyncio.Event()
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            ran_again.set()

    with capture_logs() as logs:
        async with kept_running(run, longest_delay=0.001), asyncio.timeout(5):
            await ran_again.wait()
    assert {line["event"] for line in logs} == {"loop ended"}
