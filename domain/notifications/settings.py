"""How a person wants to be told: their channels, and which news goes where.

Names and addresses of channels are sealed before they come here, as they may name the person, and
who knows an address can write there.
"""

from typing import Any, TypeAlias, assert_never, get_args
from uuid import UUID

import msgspec

from domain.accounts import Role, Sealed
from domain.kernel import Command, Decider, DomainError, Event, stream_id
from domain.notifications.kinds import ChannelKind, NoticeKind

MOST_CHANNELS = 10


class Preference(msgspec.Struct, frozen=True, rename="camel"):
    """Where one kind of news goes: into the inbox, and by ``channels``; ``None`` is all of them."""

    inbox: bool = True
    channels: tuple[UUID, ...] | None = None


# Events


class ChannelAdded(Event, frozen=True, tag="notification_settings.channel_added"):
    """The person can be told by one way more."""

    account_id: UUID
    channel_id: UUID
    kind: ChannelKind
    name: Sealed
    address: Sealed


class ChannelChanged(Event, frozen=True, tag="notification_settings.channel_changed"):
    """A channel has another name or address; ``None`` is the same as before."""

    channel_id: UUID
    name: Sealed | None = None
    address: Sealed | None = None


class ChannelRemoved(Event, frozen=True, tag="notification_settings.channel_removed"):
    """The person is not told by it any more."""

    channel_id: UUID


class ChannelSwitchedOff(Event, frozen=True, tag="notification_settings.channel_switched_off"):
    """It is not used until it is switched on again. ``reason`` is why it has failed, if it did."""

    channel_id: UUID
    reason: str | None = None


class ChannelSwitchedOn(Event, frozen=True, tag="notification_settings.channel_switched_on"):
    """It is used again."""

    channel_id: UUID


class PreferenceChanged(Event, frozen=True, tag="notification_settings.preference_changed"):
    """One kind of news goes elsewhere from now on."""

    kind: NoticeKind
    preference: Preference


SettingsEvent: TypeAlias = (
    ChannelAdded
    | ChannelChanged
    | ChannelRemoved
    | ChannelSwitchedOff
    | ChannelSwitchedOn
    | PreferenceChanged
)

# Commands


class AddChannel(Command, frozen=True):
    """Be told by one way more. ``role`` is that of the person."""

    account_id: UUID
    channel_id: UUID
    kind: ChannelKind
    name: Sealed
    address: Sealed
    role: Role


class ChangeChannel(Command, frozen=True):
    """Name a channel otherwise, give it another address of its kind, or switch it on or off.

    A new address switches it on, unless it is said otherwise. ``None`` leaves a thing as it is.
    """

    channel_id: UUID
    name: Sealed | None = None
    address: Sealed | None = None
    kind: ChannelKind | None = None
    on: bool | None = None


class RemoveChannel(Command, frozen=True):
    """Not be told by it any more."""

    channel_id: UUID


class GiveUpChannel(Command, frozen=True):
    """Switch off a channel that has failed, if it is still there with the ``address`` that did."""

    channel_id: UUID
    address: Sealed
    reason: str


class ChangePreferences(Command, frozen=True):
    """Say where news goes; kinds that are not named go where they go by default."""

    preferences: dict[NoticeKind, Preference]


SettingsCommand: TypeAlias = (
    AddChannel | ChangeChannel | RemoveChannel | GiveUpChannel | ChangePreferences
)

# Refusals


class UnknownChannel(DomainError):
    """The person has no such channel."""

    def __init__(self) -> None:
        super().__init__("There is no such channel.")


class TooManyChannels(DomainError):
    """The person has as many channels as one may have."""

    def __init__(self) -> None:
        super().__init__(f"There are {MOST_CHANNELS} channels already. Remove one first.")


class ForAdminsOnly(DomainError):
    """Messages by Apprise come from the server itself, and may go to anywhere in its network."""

    field = "address.type"

    def __init__(self) -> None:
        super().__init__("Only admins may use Apprise. Choose another kind of channel.")


class OtherKind(DomainError):
    """A channel keeps its kind."""

    field = "address.type"

    def __init__(self, kind: ChannelKind) -> None:
        super().__init__(f"This channel is of the kind “{kind}”. Add another one instead.")


class UnknownChannels(DomainError):
    """News shall go by channels that the person does not have."""

    field = "items"

    def __init__(self, kind: NoticeKind) -> None:
        super().__init__(f"“{kind}” names a channel that there is not. List your channels first.")


# Decisions


class Channel(msgspec.Struct, frozen=True):
    """A way to a person. ``off_reason`` is why it was given up, if it was."""

    id: UUID
    kind: ChannelKind
    name: Sealed
    address: Sealed
    on: bool = True
    off_reason: str | None = None


class NotificationSettings(msgspec.Struct, frozen=True):
    """What a person has chosen."""

    channels: tuple[Channel, ...] = ()
    preferences: dict[NoticeKind, Preference] = {}

    def channel(self, channel_id: UUID) -> Channel:
        """One of the channels. Raises UnknownChannel."""
        for channel in self.channels:
            if channel.id == channel_id:
                return channel
        raise UnknownChannel

    def preference(self, kind: NoticeKind) -> Preference:
        """Where this kind of news goes; by default everywhere."""
        return self.preferences.get(kind, Preference())

    def channels_for(self, kind: NoticeKind) -> tuple[UUID, ...]:
        """Those that are on and shall carry this kind of news."""
        chosen = self.preference(kind).channels
        return tuple(
            channel.id
            for channel in self.channels
            if channel.on and (chosen is None or channel.id in chosen)
        )


def settings_id(account_id: UUID) -> UUID:
    """One stream for each person."""
    return stream_id("notification_settings", str(account_id))


def decide(command: SettingsCommand, settings: NotificationSettings | None) -> list[SettingsEvent]:
    """What follows from ``command``; raises one of the refusals."""
    settings = settings or NotificationSettings()
    match command:
        case AddChannel():
            return _add(command, settings)
        case ChangeChannel():
            return _change(command, settings.channel(command.channel_id))
        case RemoveChannel(channel_id):
            settings.channel(channel_id)
            return [ChannelRemoved(channel_id)]
        case GiveUpChannel(channel_id, address, reason):
            failed = any(
                channel.id == channel_id and channel.on and channel.address == address
                for channel in settings.channels
            )
            return [ChannelSwitchedOff(channel_id, reason)] if failed else []
        case ChangePreferences(preferences):
            return _prefer(preferences, settings)
        case _:
            assert_never(command)


def _add(command: AddChannel, settings: NotificationSettings) -> list[SettingsEvent]:
    if command.kind is ChannelKind.APPRISE and command.role is not Role.ADMIN:
        raise ForAdminsOnly
    if len(settings.channels) >= MOST_CHANNELS:
        raise TooManyChannels
    return [
        ChannelAdded(
            command.account_id, command.channel_id, command.kind, command.name, command.address
        )
    ]


def _change(command: ChangeChannel, channel: Channel) -> list[SettingsEvent]:
    if command.kind not in {None, channel.kind}:
        raise OtherKind(channel.kind)
    events: list[SettingsEvent] = []
    if command.name is not None or command.address is not None:
        events.append(ChannelChanged(channel.id, command.name, command.address))
    on = command.on
    if on is None:
        on = channel.on or command.address is not None
    if on and not channel.on:
        events.append(ChannelSwitchedOn(channel.id))
    elif channel.on and not on:
        events.append(ChannelSwitchedOff(channel.id))
    return events


def _prefer(
    preferences: dict[NoticeKind, Preference], settings: NotificationSettings
) -> list[SettingsEvent]:
    known = {channel.id for channel in settings.channels}
    for kind, preference in preferences.items():
        if not known.issuperset(preference.channels or ()):
            raise UnknownChannels(kind)
    wanted = {kind: preferences.get(kind, Preference()) for kind in NoticeKind}
    return [  # who says the default has chosen it, and keeps it should it ever be another
        PreferenceChanged(kind, preference)
        for kind, preference in wanted.items()
        if preference != settings.preferences.get(kind)
    ]


def evolve(settings: NotificationSettings | None, event: SettingsEvent) -> NotificationSettings:
    """What is chosen after ``event``."""
    settings = settings or NotificationSettings()
    match event:
        case ChannelAdded(_, channel_id, kind, name, address):
            channels = (*settings.channels, Channel(channel_id, kind, name, address))
            return msgspec.structs.replace(settings, channels=channels)
        case ChannelRemoved(channel_id):
            return _without(channel_id, settings)
        case PreferenceChanged(kind, preference):
            preferences = {**settings.preferences, kind: preference}
            return msgspec.structs.replace(settings, preferences=preferences)
        case ChannelChanged() | ChannelSwitchedOff() | ChannelSwitchedOn():
            channels = tuple(
                msgspec.structs.replace(channel, **_changes(event))
                if channel.id == event.channel_id
                else channel
                for channel in settings.channels
            )
            return msgspec.structs.replace(settings, channels=channels)
        case _:
            assert_never(event)


def _changes(event: ChannelChanged | ChannelSwitchedOff | ChannelSwitchedOn) -> dict[str, Any]:
    match event:
        case ChannelChanged(_, name, address):
            given = {"name": name, "address": address}
            return {field: value for field, value in given.items() if value is not None}
        case ChannelSwitchedOff(_, reason):
            return {"on": False, "off_reason": reason}
        case ChannelSwitchedOn():
            return {"on": True, "off_reason": None}
        case _:
            assert_never(event)


def _without(channel_id: UUID, settings: NotificationSettings) -> NotificationSettings:
    """News that went by other channels too goes by those alone; a lone one's, by none."""
    return NotificationSettings(
        tuple(channel for channel in settings.channels if channel.id != channel_id),
        {
            kind: preference
            if preference.channels is None
            else msgspec.structs.replace(
                preference, channels=tuple(of for of in preference.channels if of != channel_id)
            )
            for kind, preference in settings.preferences.items()
        },
    )


notification_settings: Decider[SettingsCommand, NotificationSettings, SettingsEvent] = Decider(
    "notification_settings", get_args(SettingsEvent), decide, evolve
)
