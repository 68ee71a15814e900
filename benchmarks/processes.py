"""Servers as processes of their own, each on a free port, with its log in a file."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from tempfile import TemporaryFile

import msgspec

from infrastructure.settings import Settings, encode
from infrastructure.supervision.child import LIFELINE_FD, READY_FD

BACKLOG = 2048
STOP_WITHIN = 10.0


class Served(msgspec.Struct, frozen=True):
    """A server that answers on ``port``."""

    pid: int
    port: int


@contextmanager
def serving(module: str, *arguments: str, told: bytes = b"") -> Generator[Served]:
    """Run ``python -m module arguments --fd N``, which is told something on its standard input.

    It has to announce that it is ready, and to end with this process, as all of MediaNest's do.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener,
        TemporaryFile() as log,
    ):
        ready, announce = os.pipe()
        far_end, lifeline = os.pipe()
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--fd", str(descriptor)],
            env={**os.environ, READY_FD: str(announce), LIFELINE_FD: str(far_end)},
            pass_fds=(descriptor, announce, far_end),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        os.close(announce)
        os.close(far_end)
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as words:  # its log says more
                words.write(told)
            if not os.read(ready, 1):
                log.seek(0)
                raise RuntimeError(f"{module} did not start: {log.read().decode()}")
            yield Served(process.pid, listener.getsockname()[1])
        finally:
            os.close(ready)
            _stop(process)
            os.close(lifeline)


def serving_api(settings: Settings) -> AbstractContextManager[Served]:
    """``medianest api``, told its settings as its supervisor tells them."""
    return serving("benchmarks.api_process", "api", "--supervised", told=encode(settings))


def serving_peer(name: str, redis_url: str) -> AbstractContextManager[Served]:
    """An application of ``peer_process``."""
    return serving("benchmarks.peer_process", name, told=redis_url.encode())


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def peak_bytes_of_servers() -> int:
    """The most memory that any server of this process has used, of those that have ended."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * kilobytes
