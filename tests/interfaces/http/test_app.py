from typing import Any

import pytest

from interfaces.http.call import Call
from tests.interfaces.house import House


async def test_a_server_may_speak_the_lifespan_protocol(house: House) -> None:
    incoming = iter(["lifespan.startup", "lifespan.shutdown"])
    said: list[str] = []

    async def receive() -> Any:
        return {"type": next(incoming)}

    async def send(message: Any) -> None:
        said.append(message["type"])

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await house.app(scope, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_route_that_forgets_to_ask_who_calls_fails_closed(house: House) -> None:
    scope: Any = {"type": "http", "user": None, "app": None, "state": {}, "headers": []}
    with pytest.raises(LookupError):
        _ = Call(scope).caller
