"""How people choose to be told."""

from uuid import UUID, uuid5

import msgspec

from application.alerts import Alerts
from application.execute import Context, Executed, Executor
from application.ports import PersonalData
from application.ports.notifiers import Address
from domain.accounts import Role, Sealed
from domain.notifications.kinds import ChannelKind, NoticeKind
from domain.notifications.settings import (
    AddChannel,
    ChangeChannel,
    ChangePreferences,
    NotificationSettings,
    Preference,
    RemoveChannel,
    SettingsCommand,
    notification_settings,
    settings_id,
)

CHANNEL_NAME, CHANNEL_ADDRESS = "channel_name", "channel_address"
"""The fields as which what names a person, or leads to them, is sealed."""
CHANNEL_OFF = "channel-off"
"""The kind of alert of an admin's channel that was given up."""


class Choices:
    """The use cases of channels and preferences."""

    def __init__(self, executor: Executor, personal_data: PersonalData, alerts: Alerts) -> None:
        self._executor = executor
        self._personal_data = personal_data
        self._alerts = alerts

    async def of(self, account_id: UUID) -> NotificationSettings:
        """What a person has chosen, or what stands for those who have not."""
        chosen = await self._executor.state(notification_settings, settings_id(account_id))
        return chosen or NotificationSettings()

    async def add_channel(
        self, account_id: UUID, role: Role, name: str, address: Address, context: Context
    ) -> tuple[UUID, Executed[NotificationSettings]]:
        """Tell the person by one way more; its id. Raises ForAdminsOnly or TooManyChannels."""
        channel_id = uuid5(context.command_id, "channel")  # the same if it is asked for again
        command = AddChannel(
            account_id,
            channel_id,
            kind_of(address),
            await self._personal_data.seal(account_id, CHANNEL_NAME, name),
            await self._seal(account_id, address),
            role,
        )
        return channel_id, await self._execute(account_id, command, context)

    async def change_channel(
        self,
        account_id: UUID,
        channel_id: UUID,
        context: Context,
        *,
        name: str | None = None,
        address: Address | None = None,
        on: bool | None = None,
    ) -> Executed[NotificationSettings]:
        """Change what is given. Raises UnknownChannel or OtherKind."""
        sealed = name and await self._personal_data.seal(account_id, CHANNEL_NAME, name)
        command = ChangeChannel(
            channel_id,
            sealed,
            address and await self._seal(account_id, address),
            address and kind_of(address),
            on,
        )
        changed = await self._execute(account_id, command, context)
        if changed.state.channel(channel_id).on:
            await self._alerts.resolve(CHANNEL_OFF, str(channel_id), context.step("resolve"))
        return changed

    async def remove_channel(
        self, account_id: UUID, channel_id: UUID, context: Context
    ) -> Executed[NotificationSettings]:
        """Tell the person by it no more. Raises UnknownChannel."""
        removed = await self._execute(account_id, RemoveChannel(channel_id), context)
        await self._alerts.resolve(CHANNEL_OFF, str(channel_id), context.step("resolve"))
        return removed

    async def prefer(
        self, account_id: UUID, preferences: dict[NoticeKind, Preference], context: Context
    ) -> Executed[NotificationSettings]:
        """Say where each kind of news goes. Raises UnknownChannels."""
        return await self._execute(account_id, ChangePreferences(preferences), context)

    async def _execute(
        self, account_id: UUID, command: SettingsCommand, context: Context
    ) -> Executed[NotificationSettings]:
        return await self._executor.execute(
            notification_settings, settings_id(account_id), command, context
        )

    async def _seal(self, account_id: UUID, address: Address) -> Sealed:
        text = msgspec.json.encode(address).decode()
        return await self._personal_data.seal(account_id, CHANNEL_ADDRESS, text)


def kind_of(address: Address) -> ChannelKind:
    """The kind of channel that an address belongs to."""
    return ChannelKind(str(address.__struct_config__.tag))
