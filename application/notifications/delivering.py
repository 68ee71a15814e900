"""Bringing notifications to people, outside of MediaNest."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from application.alerts import Alerts
from application.effects import Deliver, Job
from application.execute import Executor
from application.notifications.choices import CHANNEL_ADDRESS, CHANNEL_OFF
from application.notifications.words import in_words
from application.ports import Clock, Ids, PersonalData
from application.ports.notifiers import Address, DeliveryFailed, Notice, Notifier, Undeliverable
from domain.accounts import Account, AccountState, Role, accounts
from domain.notifications.deliveries import (
    Delivery,
    DeliveryCommand,
    DropDelivery,
    Errand,
    RecordDelivery,
    RecordFailure,
    RecordRefusal,
    deliveries,
    delivery_id,
)
from domain.notifications.inbox import Notification, notifications
from domain.notifications.kinds import ChannelKind
from domain.notifications.settings import (
    Channel,
    GiveUpChannel,
    UnknownChannel,
    notification_settings,
    settings_id,
)

ACTOR = "system:deliver_notifications"
TEST = "test"
"""The kind of the notice by which a person tries a channel out."""


class Delivering:
    """What workers do for notifications. Each role has a notifier, that reaches as far as it may.

    A worker that dies between the delivery and its recording delivers again: at least once, under
    the same id.
    """

    def __init__(
        self,
        executor: Executor,
        personal_data: PersonalData,
        notifiers: Mapping[Role, Notifier],
        alerts: Alerts,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._executor = executor
        self._personal_data = personal_data
        self._notifiers = notifiers
        self._alerts = alerts
        self._clock = clock
        self._ids = ids

    async def deliver(self, effect: Deliver, job: Job) -> None:
        """Try once, record what came of it, and switch off a channel that will not work."""
        notification = await self._executor.state(notifications, effect.notification_id)
        if notification is None:
            return
        id_ = delivery_id(effect.notification_id, effect.channel_id)
        delivery = await self._executor.state(deliveries, id_) or Delivery()
        if not delivery.over and effect.attempt != delivery.attempts:
            return  # this attempt was made before
        way = await self._way(notification.account_id, effect.channel_id)
        if not delivery.over:
            outcome = await self._attempt(effect, id_, notification, way)
            context = job.context(ACTOR, "outcome")
            recorded = await self._executor.execute(deliveries, id_, outcome, context)
            delivery = recorded.state
        if way is not None and delivery.given_up is not None:
            await self._give_up(way, delivery.given_up, job)

    async def test(self, account_id: UUID, channel_id: UUID) -> str | None:
        """Try a channel out now, even if it is off; why it did not work, or ``None`` if it did.

        Raises UnknownChannel.
        """
        way = await self._way(account_id, channel_id)
        if way is None:
            raise UnknownChannel
        shut = _shut(way)
        if shut not in {None, _OFF}:
            return shut
        line, more = "A test of MediaNest", "This channel works."
        try:
            await self._hand_over(way, Notice(self._ids(), TEST, self._clock(), line, more))
        except (Undeliverable, DeliveryFailed) as failed:
            return str(failed)
        return None

    async def _attempt(
        self, effect: Deliver, id_: UUID, notification: Notification, way: "_Way | None"
    ) -> DeliveryCommand:
        kind, about = notification.kind, notification.about
        errand = Errand(
            notification.account_id, effect.notification_id, effect.channel_id, kind, about.title
        )
        if way is None:
            return DropDelivery(errand, _REMOVED)
        if shut := _shut(way):
            return DropDelivery(errand, shut)
        line, more = in_words(kind, about)
        try:
            await self._hand_over(way, Notice(id_, kind, about.at, line, more))
        except Undeliverable as refused:
            return RecordRefusal(errand, str(refused))
        except DeliveryFailed as failed:
            return RecordFailure(errand, str(failed), self._clock(), failed.retry_after)
        return RecordDelivery(errand)

    async def _hand_over(self, way: "_Way", notice: Notice) -> None:
        """Raises Undeliverable or DeliveryFailed."""
        sealed = way.channel.address
        address = await self._personal_data.reveal(way.account_id, CHANNEL_ADDRESS, sealed)
        if address is None:
            raise Undeliverable(_FORGOTTEN)
        where = msgspec.json.decode(address, type=Address)
        await self._notifiers[way.account.role].deliver(where, notice)

    async def _way(self, account_id: UUID, channel_id: UUID) -> "_Way | None":
        """The way to a person, if they have the channel."""
        account = await self._executor.state(accounts, account_id)
        chosen = await self._executor.state(notification_settings, settings_id(account_id))
        for channel in chosen.channels if chosen else ():
            if account is not None and channel.id == channel_id:
                return _Way(account_id, account, channel)
        return None

    async def _give_up(self, way: "_Way", reason: str, job: Job) -> None:
        channel = way.channel
        command = GiveUpChannel(channel.id, channel.address, reason)
        context = job.context(ACTOR, "give up")
        chosen = await self._executor.execute(
            notification_settings, settings_id(way.account_id), command, context
        )
        off = any(each.id == channel.id and each.off_reason for each in chosen.state.channels)
        if off and way.account.role is Role.ADMIN:
            await self._alerts.raise_alert(
                CHANNEL_OFF,
                str(channel.id),
                "A channel of an admin does not work",
                f"Its kind is “{channel.kind}”. {reason} It was switched off.",
                context.step("alert"),
            )


class _Way(msgspec.Struct, frozen=True):
    """A person and one of their channels, as both stand now."""

    account_id: UUID
    account: Account
    channel: Channel


_FORGOTTEN = "The account was forgotten."
_REMOVED = "The channel was removed."
_OFF = "The channel is off."


def _shut(way: _Way) -> str | None:
    """Why nothing may go this way, if nothing may."""
    state, role = way.account.state, way.account.role
    if state is AccountState.FORGOTTEN:
        return _FORGOTTEN
    if state is AccountState.SUSPENDED:
        return "The account is suspended."
    if way.channel.kind is ChannelKind.APPRISE and role is not Role.ADMIN:
        return "Only admins may use Apprise."
    return None if way.channel.on else _OFF
