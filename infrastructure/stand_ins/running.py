"""All stand-ins together, in one event loop."""

from types import TracebackType
from typing import Self

from infrastructure.stand_ins.control import ControlPort
from infrastructure.stand_ins.overseerr import OverseerrStandIn
from infrastructure.stand_ins.plex import PlexStandIn
from infrastructure.stand_ins.plex_tv import PlexTvStandIn
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
        self,
        *,
        tmdb_port: int = 0,
        overseerr_port: int = 0,
        plex_port: int = 0,
        plex_tv_port: int = 0,
        control_port: int = 0,
    ) -> None:
        self.tmdb = TmdbStandIn(tmdb_port)
        self.overseerr = OverseerrStandIn(overseerr_port)
        self.plex = PlexStandIn(plex_port)
        self.plex_tv = PlexTvStandIn(self.plex, plex_tv_port)
        stand_ins = (self.tmdb, self.overseerr, self.plex, self.plex_tv)
        self.control = ControlPort(stand_ins, control_port)
        self._parts = (*stand_ins, self.control)

    async def __aenter__(self) -> Self:
        for part in self._parts:
            await part.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for part in reversed(self._parts):
            await part.close()
