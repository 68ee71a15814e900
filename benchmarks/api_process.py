"""``medianest api`` with two more routes: one that does nothing, and one that probes the loop."""

import msgspec
from litestar import get

from benchmarks.probe import Lags, probe_loop
from domain.permissions import Action
from infrastructure.main import main
from interfaces.http.app import ROUTES
from interfaces.http.call import Call, NoQuery

HELLO = "/api/v1/benchmark/hello"
PROBE = "/api/v1/benchmark/probe"


class Hello(msgspec.Struct, frozen=True):
    """The shortest answer of any use."""

    message: str = "hello"


@get("/benchmark/hello", opt={"action": Action.SEE_OWN_ACCOUNT})
async def hello(request: Call) -> Hello:
    """What lies in front of every route, and nothing behind it."""
    request.query(NoQuery)
    return Hello()


@get("/benchmark/probe/{milliseconds:int}", opt={"action": Action.SEE_OWN_ACCOUNT})
async def probe(milliseconds: int) -> Lags:
    """How late the event loop was, for so long."""
    return await probe_loop(milliseconds / 1000)


if __name__ == "__main__":
    signed_in = ROUTES[1]
    signed_in.register(hello)
    signed_in.register(probe)
    main()
