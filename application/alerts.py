"""Telling people that something needs them, and that it was seen or is over."""

from contextlib import suppress
from uuid import UUID

from application.execute import Context, Executed, Executor
from application.ports import Clock, EventStore
from domain.alerts import (
    AcknowledgeAlert,
    Alert,
    RaiseAlert,
    ResolveAlert,
    UnknownAlert,
    alert_id,
    alerts,
)
from domain.kernel import History


class Alerts:
    """The use cases of alerts."""

    def __init__(self, executor: Executor, store: EventStore, clock: Clock) -> None:
        self._executor = executor
        self._store = store
        self._clock = clock

    async def raise_alert(
        self,
        kind: str,
        subject: str,
        title: str,
        detail: str,
        context: Context,
        *,
        times: int = 1,
    ) -> bool:
        """Tell that ``kind`` has happened to ``subject``, ``times`` times since it was last told.

        ``False`` when it was told less than a minute ago, by whatever process: then nothing is
        stored, and the caller may count on and tell it later. Raises what the executor raises.
        """
        now = self._clock()
        command = RaiseAlert(kind, subject, title, detail, now, times)
        executed = await self._executor.execute(alerts, alert_id(kind, subject), command, context)
        return executed.repeated or executed.state.last_told_at == now

    async def acknowledge(self, id_: UUID, by: UUID, context: Context) -> Executed[Alert]:
        """Note that ``by`` has seen it. Raises UnknownAlert, and what the executor raises."""
        await self.history(id_)
        return await self._executor.execute(alerts, id_, AcknowledgeAlert(by), context)

    async def resolve(self, kind: str, subject: str, context: Context) -> None:
        """Note that it is over, if it was ever told. Raises what the executor raises."""
        with suppress(UnknownAlert):
            await self._executor.execute(alerts, alert_id(kind, subject), ResolveAlert(), context)

    async def history(self, id_: UUID) -> History:
        """Every event of an alert, in order. Raises UnknownAlert."""
        history = await self._store.read_stream(id_)
        if not history or not alerts.owns(history[0].event):
            raise UnknownAlert
        return history
