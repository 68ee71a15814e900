"""Both servers and two roles under one supervisor: ``house.py FOLDER [WORD]...``.

Prints a line when all are ready. The roles' journal is in the folder. Words: ``portable``: without
Linux's own ways; ``once``: stop when ready; ``stubborn``: with a worker that ignores SIGTERM.
"""

import asyncio
import sys
from pathlib import Path

import structlog

from infrastructure.embedded import DataFolder, EmbeddedServers
from infrastructure.supervision.supervisor import Child, Supervisor, until_signal

ROLE = str(Path(__file__).with_name("role.py"))


async def main(path: Path, *, portable: bool, once: bool, stubborn: bool) -> None:
    def role(name: str, *behaviours: str) -> Child:
        argv = (sys.executable, ROLE, name, str(path / "journal"), *behaviours)
        return Child(name=name, argv=argv, stop_within=30.0)

    roles = [role("worker", *(["stubborn"] if stubborn else [])), role("api")]
    async with until_signal() as hurry:
        with DataFolder.claim(path) as folder:
            async with (
                EmbeddedServers(folder, hurry=hurry, portable=portable),
                Supervisor(roles, hurry=hurry, portable=portable),
            ):
                sys.stdout.write("ready\n")
                sys.stdout.flush()
                if not once:
                    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    words = sys.argv[2:]
    asyncio.run(
        main(
            Path(sys.argv[1]),
            portable="portable" in words,
            once="once" in words,
            stubborn="stubborn" in words,
        )
    )
