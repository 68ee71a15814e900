"""People who are told of requests, on players in memory, with the reactors between them."""

from datetime import datetime
from uuid import UUID

import msgspec

from application.alerts import Alerts
from application.effects import Deliver, Job, TellAbout, job_id
from application.notifications import Choices, Delivering, Inboxes, Telling
from application.reactors.deliver_notifications import deliver_notifications
from application.reactors.notify import notify
from domain.accounts import Role
from domain.kernel import Event, Recorded
from domain.notifications.inbox import NotificationReceived
from tests.fakes import InMemoryNotifier, new_id
from tests.folded import FoldedAccounts
from tests.people import People

REACTORS = (notify, deliver_notifications)


class Notified(People):
    """The use cases of notifications.

    ``times`` is how often each job is performed; as another one each time, so that nothing but what
    it says tells it from a job that was never done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notifiers = {role: InMemoryNotifier() for role in Role}
        self.alerts = Alerts(self.executor, self.store, self.clock)
        self.choices = Choices(self.executor, self.personal_data, self.alerts)
        self.inboxes = Inboxes(self.executor)
        self.telling = Telling(self.executor, self.store, FoldedAccounts(self.store))
        self.delivering = Delivering(
            self.executor, self.personal_data, self.notifiers, self.alerts, self.clock, new_id
        )
        self.times = 1
        self.waiting: list[tuple[datetime, Job]] = []
        self._reacted = 0

    async def settle(self) -> None:
        """React to what has happened, and perform what is due, until nothing is left."""
        while due := self._due():
            for job in due:
                await self._perform(job)
                for _ in range(1, self.times):
                    await self._perform(msgspec.structs.replace(job, id=new_id()))

    def told(self, person: UUID) -> list[NotificationReceived]:
        """What the person was told, in order."""
        return [
            recorded.event
            for recorded in self.store.events
            if isinstance(recorded.event, NotificationReceived)
            and recorded.event.account_id == person
        ]

    def _due(self) -> list[Job]:
        for recorded in self.store.events:
            if recorded.position > self._reacted:
                self._react(recorded)
                self._reacted = recorded.position
        now = self.clock()
        due = [job for at, job in self.waiting if at <= now]
        self.waiting = [(at, job) for at, job in self.waiting if at > now]
        return due

    def _react(self, recorded: Recorded[Event]) -> None:
        about = recorded.metadata
        for reactor in REACTORS:
            for number, due in enumerate(reactor.react(recorded)):
                job = Job(
                    job_id(reactor.name, recorded, number),
                    due.effect,
                    about.correlation_id,
                    about.event_id,
                )
                self.waiting.append((due.at or self.clock(), job))

    async def _perform(self, job: Job) -> None:
        match job.effect:
            case TellAbout():
                await self.telling.tell(job.effect, job)
            case Deliver():
                await self.delivering.deliver(job.effect, job)
            case _:
                raise AssertionError(job)
