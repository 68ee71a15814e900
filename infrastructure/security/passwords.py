"""Passwords, hashed slowly and beside the event loop."""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports import HasherBusy

T = TypeVar("T")

_THREADS = 2
"""More would take the cores from the event loop: with 32 its worst lag is nearly a second."""
_NICENESS = 5
"""A third of the event loop's share of a core, while both want it."""
_WAITING = 64
"""About two seconds of work; whoever comes later is told to come again."""


class Argon2idHasher:
    """``application.ports.PasswordHasher``, by default with the parameters OWASP recommends.

    With these, every hash takes about 30 ms of CPU and 19 MiB, in one of two threads of its own.
    ``memory_cost`` is in KiB.
    """

    def __init__(
        self, *, time_cost: int = 2, memory_cost: int = 19 * 1024, parallelism: int = 1
    ) -> None:
        self._argon2 = Argon2(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)
        self._executor = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="argon2", initializer=_give_way
        )
        self._waiting = 0
        self._nobody = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """A PHC string; see the port."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; see the port."""
        matches = await self._run(lambda: self._matches(password_hash or self._nobody, password))
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than these. It must be one that verifies."""
        return self._argon2.check_needs_rehash(password_hash)

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise HasherBusy("Too many sign-ins at once.", retry_after=timedelta(seconds=2))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _give_way() -> None:
    """Let the event loop go first when both want a core. Only Linux has priorities of threads."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
