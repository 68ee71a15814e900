"""Steers a stand-in from another process; a module of its own, as serving needs no client."""

import httpx
import msgspec

from infrastructure.stand_ins.faults import Fault
from infrastructure.stand_ins.stand_in import Call


class StandInControl:
    """Steers a stand-in that lives elsewhere, just as a StandIn is steered at home."""

    def __init__(self, control_url: str, name: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"{control_url}/{name}", trust_env=False)

    async def fail(self, *faults: Fault) -> None:
        """Fail as told from now on, and no longer as told before; with no faults, work."""
        await self._call("PUT", "/faults", msgspec.json.encode(faults))

    async def calls(self) -> list[Call]:
        """The last calls, oldest first."""
        return msgspec.json.decode(await self._call("GET", "/calls"), type=list[Call])

    async def reset(self) -> None:
        """Be as new."""
        await self._call("DELETE", "")

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        response = await self._client.request(method, path, content=body)
        response.raise_for_status()
        return response.content
