"""As whom PostgreSQL runs: as ourselves, or, because it refuses root, as an ordinary account.

Nothing outside the data folder changes owner or mode, and no account is ever made.
"""

import os
import pwd
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infrastructure.embedded.binaries import PostgresPrograms, server_environment
from infrastructure.embedded.data_folder import DataFolder
from infrastructure.embedded.errors import RootRefused, UnsuitableVersion
from infrastructure.supervision.launch import NOT_EXECUTABLE, Identity, Leash
from infrastructure.supervision.processes import Command, Finished, RunAs, StartFailed, run

ACCOUNT = "nobody"
"""Unprivileged, and there on every system. ``initdb`` wants an account with a name."""

OLDEST = 15
"""The oldest major version of PostgreSQL that our SQL runs on."""

PATIENCE = 60.0
"""Seconds for a program to print its version: it may come from a slow disk."""


class Installation(msgspec.Struct, frozen=True):
    """A PostgreSQL that runs here: its programs, as whom, and its major version."""

    programs: PostgresPrograms
    run_as: RunAs
    major: int


def usual_identities() -> Sequence[Identity]:
    """What to try, best first."""
    if os.geteuid():
        return (Identity.SELF,)
    if sys.platform == "linux":
        return (Identity.NAMESPACE, Identity.ACCOUNT)
    return (Identity.ACCOUNT,)


async def settle(
    programs: PostgresPrograms,
    folder: DataFolder,
    run_folder: Path,
    *,
    leash: Leash,
    candidates: Sequence[Identity],
) -> Installation:
    """Find an identity that can run ``programs`` in ``folder``, by letting it print its version.

    Folders that the server needs are given to that identity. Raises RootRefused, UnsuitableVersion,
    or StartFailed when the programs do not run at all.
    """
    home, log = folder.folder("postgres"), folder.folder("log") / "postgresql.log"
    reasons: list[str] = []
    for identity in candidates:
        run_as = _run_as(identity)
        try:
            _hand_over(folder, run_folder, run_as)
        except OSError as problem:
            reasons.append(f"{identity}: cannot be given {folder.path}: {problem.strerror}")
            continue
        trial = await _try(programs, home, log, leash, run_as)
        if trial.status == NOT_EXECUTABLE and identity is Identity.ACCOUNT:
            programs = programs.copied_to(home)
            _change_owner(home, run_as)
            trial = await _try(programs, home, log, leash, run_as)
        if trial.status == 0:
            return Installation(programs, run_as, _major(trial.words, programs))
        reasons.append(f"{identity}: {trial.words}")
    if os.geteuid():
        raise StartFailed(f"PostgreSQL does not run here: {reasons[0]}")
    raise RootRefused(
        f"PostgreSQL refuses to run as root, and there is no other way in {folder.path} "
        f"({'; '.join(reasons)}): start MediaNest as an ordinary user, or choose a data folder "
        f"that the account `{ACCOUNT}` can reach, such as one in /var/lib"
    )


def _run_as(identity: Identity) -> RunAs:
    if identity is Identity.SELF:
        return RunAs()
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise RootRefused(
            f"PostgreSQL refuses to run as root, and there is no account `{ACCOUNT}`: start "
            "MediaNest as an ordinary user"
        ) from None
    return RunAs(identity, account.pw_uid, account.pw_gid)


def _hand_over(folder: DataFolder, run_folder: Path, run_as: RunAs) -> None:
    """Let PostgreSQL into its folders, whichever identity ran it before."""
    for own in (folder.folder("postgres"), run_folder):
        if own.stat().st_uid != run_as.owner[0]:
            _change_owner(own, run_as)
    if run_as.identity is Identity.ACCOUNT:
        os.chown(folder.path, -1, run_as.gid)
        folder.path.chmod(folder.path.stat().st_mode | stat.S_IXGRP)


def _change_owner(tree: Path, run_as: RunAs) -> None:
    """Of all that is in ``tree``, and of itself last, so that an interrupted change is seen."""
    for parent, folders, files in os.walk(tree, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(parent, name), *run_as.owner, follow_symlinks=False)
    os.chown(tree, *run_as.owner)


async def _try(
    programs: PostgresPrograms, home: Path, log: Path, leash: Leash, run_as: RunAs
) -> Finished:
    return await run(
        Command(
            name="postgres --version",
            argv=(programs.postgres, "--version"),
            leash=leash,
            env=server_environment(),
            folder=home,
            log=log,
            run_as=run_as,
        ),
        within=PATIENCE,
    )


def _major(words: str, programs: PostgresPrograms) -> int:
    """The major version in ``postgres (PostgreSQL) 18.6``; betas have no dot."""
    found = re.search(r"\(PostgreSQL\) (\d+)", words)
    if found is None or int(found[1]) < OLDEST:
        raise UnsuitableVersion(
            f"{programs.postgres} is {words!r}, but MediaNest needs PostgreSQL >= {OLDEST}: "
            "install that, or set DATABASE_URL"
        )
    return int(found[1])
