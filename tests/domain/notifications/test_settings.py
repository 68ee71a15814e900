from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.accounts import Role
from domain.notifications.kinds import ChannelKind, NoticeKind
from domain.notifications.settings import (
    MOST_CHANNELS,
    AddChannel,
    ChangeChannel,
    ChangePreferences,
    ChannelAdded,
    ChannelChanged,
    ChannelRemoved,
    ChannelSwitchedOff,
    ChannelSwitchedOn,
    ForAdminsOnly,
    GiveUpChannel,
    NotificationSettings,
    OtherKind,
    Preference,
    PreferenceChanged,
    RemoveChannel,
    SettingsEvent,
    TooManyChannels,
    UnknownChannel,
    UnknownChannels,
    notification_settings,
)
from tests.given import given

ANN = UUID(int=1)
MAIL, CHAT, NOWHERE = UUID(int=11), UUID(int=12), UUID(int=13)
APPROVED, AVAILABLE = NoticeKind.REQUEST_APPROVED, NoticeKind.REQUEST_AVAILABLE


def add(channel: UUID = MAIL, kind: ChannelKind = ChannelKind.EMAIL) -> AddChannel:
    return AddChannel(ANN, channel, kind, "name", "address", Role.USER)


def added(channel: UUID = MAIL, kind: ChannelKind = ChannelKind.EMAIL) -> ChannelAdded:
    return ChannelAdded(ANN, channel, kind, "name", "address")


def after(*events: SettingsEvent) -> NotificationSettings:
    settings = notification_settings.fold(events)
    assert settings is not None
    return settings


def test_a_channel_is_added() -> None:
    given(notification_settings).when(add()).then(added())


def test_there_are_ten_channels_at_most() -> None:
    ten = [added(uuid4()) for _ in range(MOST_CHANNELS)]
    given(notification_settings, *ten[1:]).when(add()).then(added())
    given(notification_settings, *ten).when(add()).then_refused(TooManyChannels, "Remove one")
    gone = ChannelRemoved(ten[3].channel_id)
    given(notification_settings, *ten, gone).when(add()).then(added())


def test_only_admins_use_apprise() -> None:
    wanted = add(kind=ChannelKind.APPRISE)
    given(notification_settings).when(wanted).then_refused(ForAdminsOnly, "another kind")
    allowed = msgspec.structs.replace(wanted, role=Role.ADMIN)
    given(notification_settings).when(allowed).then(added(kind=ChannelKind.APPRISE))


@pytest.mark.parametrize("command", [ChangeChannel(NOWHERE, "name"), RemoveChannel(NOWHERE)])
def test_a_channel_that_there_is_not_cannot_be_changed(
    command: ChangeChannel | RemoveChannel,
) -> None:
    given(notification_settings, added()).when(command).then_refused(UnknownChannel)
    given(notification_settings).when(command).then_refused(UnknownChannel)


def test_a_channel_is_renamed_and_led_elsewhere() -> None:
    given(notification_settings, added()).when(ChangeChannel(MAIL, "new")).then(
        ChannelChanged(MAIL, "new")
    )
    there = ChannelChanged(MAIL, address="there")
    given(notification_settings, added()).when(
        ChangeChannel(MAIL, address="there", kind=ChannelKind.EMAIL)
    ).then(there)
    (channel,) = after(added(), there).channels
    assert (channel.name, channel.address) == ("name", "there")


def test_a_channel_keeps_its_kind() -> None:
    other = ChangeChannel(MAIL, address="there", kind=ChannelKind.NTFY)
    given(notification_settings, added()).when(other).then_refused(OtherKind, "“email”")


def test_a_channel_is_switched_off_and_on() -> None:
    off, on = ChangeChannel(MAIL, on=False), ChangeChannel(MAIL, on=True)
    given(notification_settings, added()).when(off).then(ChannelSwitchedOff(MAIL))
    given(notification_settings, added()).when(on).then_nothing()
    switched = (added(), ChannelSwitchedOff(MAIL))
    given(notification_settings, *switched).when(on).then(ChannelSwitchedOn(MAIL))
    given(notification_settings, *switched).when(off).then_nothing()


def test_another_address_switches_a_channel_on_unless_it_is_said_otherwise() -> None:
    failed = (added(), ChannelSwitchedOff(MAIL, "No such mailbox."))
    there = ChannelChanged(MAIL, address="there")
    given(notification_settings, *failed).when(ChangeChannel(MAIL, address="there")).then(
        there, ChannelSwitchedOn(MAIL)
    )
    given(notification_settings, *failed).when(ChangeChannel(MAIL, address="there", on=False)).then(
        there
    )
    (channel,) = after(*failed).channels
    assert (channel.on, channel.off_reason) == (False, "No such mailbox.")
    (channel,) = after(*failed, ChannelSwitchedOn(MAIL)).channels
    assert (channel.on, channel.off_reason) == (True, None)


def test_another_name_does_not_switch_a_channel_on() -> None:
    off = (added(), ChannelSwitchedOff(MAIL))
    given(notification_settings, *off).when(ChangeChannel(MAIL, "new")).then(
        ChannelChanged(MAIL, "new")
    )


def test_a_channel_that_has_failed_is_switched_off_with_the_reason() -> None:
    give_up = GiveUpChannel(MAIL, "address", "404")
    given(notification_settings, added()).when(give_up).then(ChannelSwitchedOff(MAIL, "404"))
    given(notification_settings, added(), ChannelSwitchedOff(MAIL)).when(give_up).then_nothing()
    given(notification_settings, added(), ChannelRemoved(MAIL)).when(give_up).then_nothing()


def test_a_channel_does_not_pay_for_the_address_that_it_had() -> None:
    given(notification_settings, added(), ChannelChanged(MAIL, address="there")).when(
        GiveUpChannel(MAIL, "address", "404")
    ).then_nothing()


def test_by_default_all_goes_everywhere() -> None:
    settings = after(added(MAIL), added(CHAT))
    for kind in NoticeKind:
        assert settings.preference(kind).inbox
        assert settings.channels_for(kind) == (MAIL, CHAT)


def test_news_goes_where_it_shall_by_channels_that_are_on() -> None:
    chosen = PreferenceChanged(AVAILABLE, Preference(inbox=False, channels=(CHAT, MAIL)))
    settings = after(added(MAIL), added(CHAT), chosen, ChannelSwitchedOff(MAIL))
    assert not settings.preference(AVAILABLE).inbox
    assert settings.channels_for(AVAILABLE) == (CHAT,)
    assert settings.channels_for(APPROVED) == (CHAT,)


def test_what_is_chosen_is_stored_once_and_the_rest_by_default() -> None:
    silent = Preference(inbox=False, channels=())
    chosen = ChangePreferences({APPROVED: silent})
    events = [
        PreferenceChanged(kind, silent if kind is APPROVED else Preference()) for kind in NoticeKind
    ]
    given(notification_settings).when(chosen).then(*events)
    given(notification_settings, *events).when(chosen).then_nothing()
    given(notification_settings, *events).when(ChangePreferences({})).then(
        PreferenceChanged(APPROVED, Preference())
    )


def test_news_cannot_go_by_a_channel_that_there_is_not() -> None:
    wanted = ChangePreferences({APPROVED: Preference(channels=(MAIL, NOWHERE))})
    given(notification_settings, added()).when(wanted).then_refused(UnknownChannels, "Approved")


def test_news_of_a_removed_channel_does_not_go_by_others() -> None:
    chosen = PreferenceChanged(APPROVED, Preference(channels=(MAIL,)))
    settings = after(added(MAIL), added(CHAT), chosen, ChannelRemoved(MAIL))
    assert settings.channels_for(APPROVED) == ()
    assert settings.channels_for(AVAILABLE) == (CHAT,)


def prefer(chosen: set[UUID]) -> ChangePreferences:
    return ChangePreferences({AVAILABLE: Preference(channels=tuple(chosen))})


COMMANDS = st.one_of(
    st.builds(add, st.sampled_from([MAIL, CHAT]), st.sampled_from(ChannelKind)),
    st.builds(
        ChangeChannel,
        st.sampled_from([MAIL, CHAT]),
        st.sampled_from([None, "name"]),
        st.sampled_from([None, "address", "there"]),
        on=st.sampled_from([None, True, False]),
    ),
    st.builds(RemoveChannel, st.sampled_from([MAIL, CHAT])),
    st.builds(GiveUpChannel, st.sampled_from([MAIL, CHAT]), st.just("address"), st.just("404")),
    st.builds(prefer, st.sets(st.sampled_from([MAIL, CHAT]))),
)


@for_all(st.lists(COMMANDS, max_size=25))
def test_news_goes_by_no_channel_that_is_off_or_gone(
    commands: list[AddChannel | ChangeChannel | RemoveChannel | GiveUpChannel | ChangePreferences],
) -> None:
    settings: NotificationSettings | None = None
    for command in commands:
        known = {channel.id for channel in settings.channels} if settings else set[UUID]()
        if isinstance(command, AddChannel) and command.channel_id in known:
            continue  # ids are new in every command that adds
        try:
            events = notification_settings.decide(command, settings)
        except (UnknownChannel, UnknownChannels, ForAdminsOnly):
            continue
        settings = notification_settings.fold(events, settings)
        assert settings is not None or not events
    settings = settings or NotificationSettings()
    on = {channel.id for channel in settings.channels if channel.on}
    for kind in NoticeKind:
        assert on.issuperset(settings.channels_for(kind))
        assert {channel.id for channel in settings.channels}.issuperset(
            settings.preference(kind).channels or ()
        )
