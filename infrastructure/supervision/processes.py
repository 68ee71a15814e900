"""One child process: started on a leash, watched, and stopped by rising force."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from infrastructure.supervision import launch
from infrastructure.supervision.child import LIFELINE_FD
from infrastructure.supervision.launch import Identity, Leash

LOG = structlog.get_logger()

GRACE_IN_A_HURRY = 2.0
"""Seconds between the signal that hurries a child and SIGKILL."""


class StartFailed(Exception):
    """A child ended, or its time was over, before it was ready; the message is fit for a person."""


def leash_for(*, native: bool, portable: bool = sys.platform != "linux") -> Leash:
    """The leash for a child; ``native`` programs are not ours and watch nothing themselves."""
    if portable:
        return Leash.GUARD if native else Leash.PIPE
    return Leash.KERNEL


class RunAs(msgspec.Struct, frozen=True):
    """As whom a child runs. The ids are what it sees of itself, so inside the namespace if any."""

    identity: Identity = Identity.SELF
    uid: int = 0
    gid: int = 0

    @property
    def owner(self) -> tuple[int, int]:
        """The user and group id, seen from here, whose files are its own."""
        if self.identity is Identity.ACCOUNT:
            return self.uid, self.gid
        return os.geteuid(), os.getegid()


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and how to stop it. ``env`` is the whole environment; ``None`` is our own.

    Output is appended to ``log``, if there is one, and otherwise goes where ours goes. ``folder``,
    to start in, and ``run_as`` are the launcher's work, so they mean nothing for ``Leash.PIPE``.
    ``watches``: the program is ours and calls ``watch_parent``. ``listens``: it reads its standard
    input to the end, and ``tell`` reaches it. ``hurry_signal`` follows ``stop_signal`` after
    ``stop_within`` seconds, or when told to hurry.
    """

    name: str
    argv: Sequence[str]
    leash: Leash
    watches: bool = False
    env: Mapping[str, str] | None = None
    pass_fds: Sequence[int] = ()
    folder: Path | None = None
    log: Path | None = None
    run_as: RunAs = RunAs()
    listens: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 10.0
    hurry_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """One run of a command, in a session of its own so that a terminal's Ctrl-C spares it."""

    def __init__(
        self, command: Command, process: asyncio.subprocess.Process, lifeline: int, log_start: int
    ) -> None:
        self.name = command.name
        self.pid = process.pid
        self._command = command
        self._process = process
        self._lifeline: int | None = lifeline
        self._log_start = log_start

    @classmethod
    async def spawn(cls, command: Command) -> Self:
        """Start ``command``. Raises StartFailed when that is not possible."""
        env = dict(os.environ if command.env is None else command.env)
        output = _open_log(command.log) if command.log else None
        log_start = os.fstat(output).st_size if output is not None else 0
        far_end, lifeline = os.pipe()
        if command.watches:
            env[LIFELINE_FD] = str(far_end)
        try:
            process = await asyncio.create_subprocess_exec(
                *_leashed(command, far_end),
                env=env,
                pass_fds=(*command.pass_fds, far_end),
                stdin=asyncio.subprocess.PIPE if command.listens else asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except BaseException as problem:
            os.close(lifeline)
            if isinstance(problem, OSError):
                reason = f"{command.name} cannot be started: {problem.strerror}"
                raise StartFailed(reason) from problem
            raise
        finally:
            os.close(far_end)
            if output is not None:
                os.close(output)
        return cls(command, process, lifeline, log_start)

    async def tell(self, words: bytes) -> None:
        """Say ``words`` on its standard input, and no more; it must have been told to listen."""
        if self._process.stdin is not None:
            self._process.stdin.write(words)
            with suppress(ConnectionError):  # its end says more
                await self._process.stdin.drain()
            self._process.stdin.close()

    async def wait(self) -> int:
        """The exit status, or minus a signal's number, once it has ended and its group with it."""
        status = await self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
            self._signal_group(signal.SIGKILL)  # what it started and left behind
        return status

    async def ready(self, probe: Coroutine[Any, Any, None], *, within: float) -> None:
        """Return when ``probe`` does. If the child ends first or is too slow, raise StartFailed.

        Whatever is raised, the child has been stopped.
        """
        try:
            reason = await self._first_of(probe, within)
        except BaseException:
            await self.stop()
            raise
        if reason is not None:
            await self.stop()
            raise StartFailed("\n".join((f"{self.name} {reason}", self.last_words())).strip())

    async def _first_of(self, probe: Coroutine[Any, Any, None], within: float) -> str | None:
        """``None`` when ``probe`` has returned, otherwise why it no longer will."""
        probing, ending = asyncio.create_task(probe), asyncio.create_task(self.wait())
        try:
            await asyncio.wait(
                (probing, ending), timeout=within, return_when=asyncio.FIRST_COMPLETED
            )
            if probing.done():
                return probing.result()
            if ending.done():
                return f"{describe(ending.result())} before it was ready"
            return f"was not ready within {within:g} s"
        finally:
            probing.cancel()
            ending.cancel()
            await asyncio.gather(probing, ending, return_exceptions=True)

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Ask it to end, then insist. ``hurry`` being set cuts the asking short."""
        await to_the_end(self._stop(hurry))

    async def _stop(self, hurry: asyncio.Event | None) -> None:
        ending = asyncio.create_task(self.wait())
        hurried = asyncio.create_task((hurry or asyncio.Event()).wait())
        self._signal(self._command.stop_signal)
        await asyncio.wait(
            (ending, hurried),
            timeout=self._command.stop_within,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurried.cancel()
        if not ending.done():
            LOG.warning("child does not stop", child=self.name, hurried=hurried.done())
            self._signal(self._command.hurry_signal)
            await asyncio.wait((ending,), timeout=GRACE_IN_A_HURRY)
            self._signal_group(signal.SIGKILL)
        await ending

    def last_words(self, lines: int = 5) -> str:
        """The end of what this run has logged; empty when it has no log of its own."""
        if self._command.log is None:
            return ""
        with self._command.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 4096))
            words = log.read().decode(errors="replace").strip().splitlines()[-lines:]
        return "\n".join(words)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: also for a group of zombies
            return


class Finished(msgspec.Struct, frozen=True):
    """How a run ended: its exit status as from ``ChildProcess.wait``, and what it logged last."""

    status: int
    words: str


async def run(command: Command, *, within: float) -> Finished:
    """Run ``command`` to its end. Raises StartFailed if that takes more than ``within`` seconds."""
    child = await ChildProcess.spawn(command)
    try:
        return Finished(await asyncio.wait_for(child.wait(), within), child.last_words())
    except TimeoutError:
        raise StartFailed(f"{command.name} took longer than {within:g} s") from None
    finally:
        await child.stop()


async def until(serves: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again, 50 times a second, until the answer is yes."""
    while True:
        if await serves():
            return
        await asyncio.sleep(0.02)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` whatever happens: a cancellation meanwhile is raised once it is done."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


def describe(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


def _leashed(command: Command, lifeline: int) -> Sequence[str]:
    if command.leash is Leash.PIPE:
        return command.argv
    return launch.command_line(
        command.argv,
        leash=command.leash,
        lifeline=lifeline,
        death_signal=command.stop_signal,
        identity=command.run_as.identity,
        account=(command.run_as.uid, command.run_as.gid),
        folder=str(command.folder or ""),
    )


def _open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
