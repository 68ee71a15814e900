"""Runs in a child before its program: takes its identity, ties its life to the supervisor's, execs.

It is a fresh interpreter and not ``subprocess``'s ``preexec_fn``, which can deadlock in a process
with threads. Every start waits for it, about 15 ms: standard library only, and little of it.
"""

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from enum import StrEnum

IDENTITY_REFUSED, FOLDER_UNREACHABLE, NOT_EXECUTABLE = 121, 122, 123
"""Exit statuses of a launch that did not come to its program."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CLONE_NEWUSER = 0x10000000  # linux/sched.h; os.unshare is new in Python 3.12


class Leash(StrEnum):
    """How a child learns that its supervisor is gone."""

    KERNEL = "kernel"
    """Linux: PR_SET_PDEATHSIG, which also reaches a child that does not watch. It fires when the
    *thread* that started the child ends, so start children from the main thread."""

    GUARD = "guard"
    """Anywhere: the launcher stays, as the parent of the program, and reads the lifeline."""

    PIPE = "pipe"
    """Anywhere: the child reads the lifeline itself, with ``watch_parent``."""


class Identity(StrEnum):
    """As whom the program runs."""

    SELF = "self"

    NAMESPACE = "namespace"
    """Linux: as ourselves, in a user namespace where that is an ordinary account. Root's program
    keeps what it owns and loses its capabilities; nothing outside changes."""

    ACCOUNT = "account"
    """As another account, which only root can."""


def command_line(
    argv: Sequence[str],
    *,
    leash: Leash,
    lifeline: int,
    death_signal: int,
    identity: Identity = Identity.SELF,
    account: tuple[int, int] = (0, 0),
    folder: str = "",
) -> list[str]:
    """What to execute so that ``argv`` runs on a leash, in ``folder`` if there is one.

    ``lifeline`` is the descriptor of a pipe that only the supervisor can write to, and never does;
    ``account`` is the user and group id that ``identity`` takes.
    """
    words = (leash, lifeline, int(death_signal), identity, *account, folder, *argv)
    return [sys.executable, "-I", "-S", __file__, *map(str, words)]


def main(words: Sequence[str]) -> int:
    """The other side of ``command_line``; returns only when there is nothing more to execute."""
    leash, lifeline, death_signal, identity, uid, gid, folder, *argv = words
    failure = IDENTITY_REFUSED, "cannot run as an ordinary account"
    try:
        _take(Identity(identity), int(uid), int(gid))
        failure = FOLDER_UNREACHABLE, f"cannot enter {folder}"
        if folder:
            os.chdir(folder)
        failure = NOT_EXECUTABLE, f"cannot execute {argv[0]}"
        if leash == Leash.GUARD:
            return _guard(argv, int(lifeline), int(death_signal))
        # After the identity, because a change of credentials clears it.
        _libc().prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if select.select([int(lifeline)], [], [], 0)[0]:
            return 128 + int(death_signal)  # the supervisor was gone before we were tied to it
        os.execvp(argv[0], argv)  # noqa: S606  # without a shell is the point
    except OSError as problem:
        status, what = failure
        sys.stderr.write(f"{what}: {problem.strerror}\n")
        return status


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _take(identity: Identity, uid: int, gid: int) -> None:
    if identity is Identity.ACCOUNT:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    elif identity is Identity.NAMESPACE:
        outside_uid, outside_gid = os.geteuid(), os.getegid()
        if _libc().unshare(_CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        for name, line in (
            ("setgroups", "deny"),  # or the kernel lets nobody write gid_map
            ("uid_map", f"{uid} {outside_uid} 1"),
            ("gid_map", f"{gid} {outside_gid} 1"),
        ):
            entry = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(entry, line.encode())
            os.close(entry)


def _guard(argv: list[str], lifeline: int, death_signal: int) -> int:
    """Run ``argv`` as a child, hand signals on to it, and end it when the lifeline does."""
    program = os.fork()
    if program == 0:
        os.close(lifeline)
        os.execvp(argv[0], argv)  # noqa: S606  # without a shell is the point

    def follow() -> None:
        os.read(lifeline, 1)  # nobody ever writes: this returns when the last writer is gone
        os.kill(program, death_signal)

    for handed_on in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(handed_on, lambda number, _frame: os.kill(program, number))
    threading.Thread(target=follow, daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
