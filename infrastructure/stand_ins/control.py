"""How tests in other processes, and people with curl, steer the stand-ins: one port for all.

=======================  ====================================================================
``PUT /{name}/faults``    fail as the JSON list says (see ``faults``); an empty list: work again
``GET /{name}/calls``     the calls received, oldest first
``DELETE /{name}``        be as new: no faults, no calls, nothing that callers have changed
``PUT /plex/shelf``       a list of titles is on the shelf (see ``plex_library.ToShelve``)
``PUT /plex/folder``      a list of titles will be on the shelf after ``POST /plex/scan``
=======================  ====================================================================

``name`` is ``tmdb``, ``overseerr`` … The port is not one of the originals', so a stand-in that
refuses connections can still be told to accept them again.
"""

from collections.abc import Iterable

import msgspec

from infrastructure.stand_ins.faults import Fault
from infrastructure.stand_ins.http import (
    Message,
    Receive,
    Request,
    Response,
    Send,
    json_response,
    read_request,
    send_response,
)
from infrastructure.stand_ins.listener import HOST, Listener
from infrastructure.stand_ins.stand_in import StandIn


class ControlPort:
    """Carries out what the table above says."""

    def __init__(self, stand_ins: Iterable[StandIn], port: int = 0) -> None:
        self._stand_ins = {stand_in.name: stand_in for stand_in in stand_ins}
        self._listener = Listener(self, port)
        self.open = self._listener.open
        self.close = self._listener.close

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._listener.port}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        await send_response(await self._obey(await read_request(scope, receive)), send)

    async def _obey(self, request: Request) -> Response:
        name, _, rest = request.path.removeprefix("/").partition("/")
        stand_in = self._stand_ins.get(name)
        if stand_in is None:
            return _problem(404, f"The stand-ins are {', '.join(self._stand_ins)}.")
        match request.method, rest:
            case "GET", "calls":
                return json_response(200, await stand_in.calls())
            case "DELETE", "":
                await stand_in.reset()
                return Response(204)
            case method, what:
                try:
                    return await _change(stand_in, method, what, request.body)
                except (msgspec.DecodeError, LookupError) as error:
                    return _problem(400, str(error))


async def _change(stand_in: StandIn, method: str, what: str, body: bytes) -> Response:
    if (method, what) == ("PUT", "faults"):
        await stand_in.fail(*msgspec.json.decode(body, type=list[Fault]))
        return Response(204)
    answer = stand_in.steer(method, what, body)
    return answer or _problem(404, "There is no such thing to do; see stand_ins/control.py.")


def _problem(status: int, message: str) -> Response:
    return json_response(status, {"message": message})
