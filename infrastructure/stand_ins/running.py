"""All stand-ins together, in one event loop."""

from types import TracebackType
from typing import Self

from infrastructure.stand_ins.control import ControlPort
from infrastructure.stand_ins.overseerr import OverseerrStandIn
from infrastructure.stand_ins.tmdb import TmdbStandIn


class StandIns:
    """Listen on free ports, or on given ones, for as long as the context lasts.

    For example::

        async with StandIns() as running:
            await running.overseerr.fail(Refuse())
            forwarder = OverseerrForwarder(running.overseerr.url, running.overseerr.api_key)

    Other processes steer them through ``running.control.url`` (see ``control``).
    """

    def __init__(
        self, *, tmdb_port: int = 0, overseerr_port: int = 0, control_port: int = 0
    ) -> None:
        self.tmdb = TmdbStandIn(tmdb_port)
        self.overseerr = OverseerrStandIn(overseerr_port)
        self.control = ControlPort((self.tmdb, self.overseerr), control_port)

    async def __aenter__(self) -> Self:
        for part in (self.tmdb, self.overseerr, self.control):
            await part.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for part in (self.control, self.overseerr, self.tmdb):
            await part.close()
