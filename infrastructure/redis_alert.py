"""Tells people when Redis goes away, and when it is back: as a metric, and as an alert."""

import asyncio

from application.alerts import Alerts
from application.execute import Context
from application.ports import Ids
from application.ports.metrics import Metrics

KIND, SUBJECT = "service", "redis"
TITLE = "Redis does not answer"
DETAIL = (
    "Sign-ins are counted in each process against half of the limit, and other calls not at all,"
    " until it is back."
)


class RedisAlert:
    """Of one process; all processes tell the same alert."""

    def __init__(self, metrics: Metrics, ids: Ids) -> None:
        self._metrics = metrics
        self._ids = ids
        self._away = False
        self._told: bool | None = None  # a process that died may have left the alert open
        self._changed = asyncio.Event()

    def changed(self, away: bool) -> None:  # noqa: FBT001 - the gate's signature
        """It is away, or back."""
        self._metrics.redis_is_away(away)
        self._away = away
        self._changed.set()

    async def tell(self, alerts: Alerts) -> None:
        """Raise and resolve the alert, until cancelled; run again, it tells what it could not."""
        while True:
            self._changed.clear()
            if self._away is self._told:
                await self._changed.wait()
                continue
            away = self._away
            command_id = self._ids()
            context = Context("system:api", str(command_id), command_id)
            if away:
                await alerts.raise_alert(KIND, SUBJECT, TITLE, DETAIL, context)
            else:
                await alerts.resolve(KIND, SUBJECT, context)
            self._told = away
