"""Runs a program as an ordinary user, for tests that may themselves run as root."""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

import pytest

from infrastructure.supervision.launch import IDENTITY_REFUSED, Identity
from infrastructure.supervision.processes import Command, Finished, RunAs, leash_for, run


async def run_as_ordinary_user(argv: Sequence[str], log: Path) -> Finished:
    """As ourselves; root goes into a user namespace, where it has a user id and no capability."""
    nobody = pwd.getpwnam("nobody")
    identity = Identity.SELF if os.geteuid() else Identity.NAMESPACE
    command = Command(
        name="program",
        argv=argv,
        leash=leash_for(native=True),
        log=log,
        run_as=RunAs(identity, nobody.pw_uid, nobody.pw_gid),
    )
    finished = await run(command, within=60)
    if finished.status == IDENTITY_REFUSED:
        pytest.skip("root cannot take an ordinary identity here")
    return finished
