"""How one wants to be told: one's own channels, and which news goes where."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from application.notifications import CHANNEL_NAME
from application.ports import StoreBusy, UnreadableStream
from application.ports.notifiers import Address
from domain.notifications.kinds import ChannelKind, NoticeKind
from domain.notifications.settings import (
    MOST_CHANNELS,
    Channel,
    ForAdminsOnly,
    NotificationSettings,
    OtherKind,
    Preference,
    TooManyChannels,
    UnknownChannel,
    UnknownChannels,
)
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, refusals
from interfaces.http.openapi import ETAG, LOCATION, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import NO_NUL, FieldError, Invalid

ChannelName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


class ChannelWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The channel to add."""

    name: ChannelName
    address: Address


class ChannelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change; what is absent or null stays. A new address also switches it ``on``."""

    name: ChannelName | None = None
    address: Address | None = None
    on: bool | None = None


class ChannelView(msgspec.Struct, frozen=True, rename="camel"):
    """A channel; its address never comes back. ``off_reason`` is why it was given up, if it was."""

    id: UUID
    name: str
    kind: ChannelKind
    on: bool
    off_reason: str | None


class ChannelItems(msgspec.Struct, frozen=True):
    """Every channel, in the order in which they were added."""

    items: Sequence[ChannelView]


class Trial(msgspec.Struct, frozen=True):
    """What came of a test: ``reason`` is why it was not ``delivered``."""

    delivered: bool
    reason: str | None


class PreferenceWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one kind of news goes: into the ``inbox``, and by which channels; null is all."""

    kind: NoticeKind
    inbox: bool = True
    channels: (
        Annotated[
            tuple[UUID, ...],
            Meta(max_length=MOST_CHANNELS, extra_json_schema={"uniqueItems": True}),
        ]
        | None
    ) = None


class PreferencesWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where news goes. A kind that is not named goes everywhere."""

    items: Annotated[tuple[PreferenceWish, ...], Meta(max_length=len(NoticeKind))]


class PreferenceView(msgspec.Struct, frozen=True):
    """Where one kind of news goes: into the ``inbox``, and by which channels; null is all."""

    kind: NoticeKind
    inbox: bool
    channels: tuple[UUID, ...] | None


class PreferencesView(msgspec.Struct, frozen=True):
    """Where every kind of news goes."""

    items: Sequence[PreferenceView]


@get(
    "/notifications/channels",
    summary="List channels",
    opt={"action": Action.SEE_NOTIFICATIONS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, UnreadableStream, *NOT_LET_IN),
)
async def list_channels(request: Call) -> ChannelItems:
    """One's own, without their addresses. They are always as they stand now."""
    request.query(ReadQuery)
    chosen = await request.doors.choices.of(request.caller.account_id)
    return ChannelItems(await _views(request, *chosen.channels))


@post(
    "/notifications/channels",
    summary="Add a channel",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    response_headers=[LOCATION, X_POSITION],
    responses=refusals(
        *BAD_BODY, ForAdminsOnly, TooManyChannels, StoreBusy, UnreadableStream, *NOT_LET_IN
    ),
)
async def add_channel(request: Call, data: JSONBody[ChannelWish]) -> Response[ChannelView]:
    """All news goes by it from now on, unless one has chosen otherwise."""
    caller = request.caller
    channel_id, added = await request.doors.choices.add_channel(
        caller.account_id, caller.role, data.name, data.address, request.context()
    )
    (view,) = await _views(request, added.state.channel(channel_id))
    location = f"/api/v1/notifications/channels/{channel_id}"
    headers = {"Location": location, "X-Position": str(added.position)}
    return Response(view, headers=headers)


@patch(
    "/notifications/channels/{channel_id:uuid}",
    summary="Change a channel",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    response_headers=[X_POSITION],
    responses=refusals(
        *BAD_BODY, UnknownChannel, OtherKind, StoreBusy, UnreadableStream, *NOT_LET_IN
    ),
)
async def change_channel(
    request: Call, channel_id: FromPath[UUID], data: JSONBody[ChannelChange]
) -> Response[ChannelView]:
    """Another name, another address of the same kind, or switched on or off."""
    changed = await request.doors.choices.change_channel(
        request.caller.account_id,
        channel_id,
        request.context(),
        name=data.name,
        address=data.address,
        on=data.on,
    )
    (view,) = await _views(request, changed.state.channel(channel_id))
    return Response(view, headers={"X-Position": str(changed.position)})


@delete(
    "/notifications/channels/{channel_id:uuid}",
    summary="Remove a channel",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownChannel, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def remove_channel(request: Call, channel_id: FromPath[UUID]) -> Response[None]:
    """Nothing goes out by it any more, not even what waits for its next attempt."""
    request.query(NoQuery)
    removed = await request.doors.choices.remove_channel(
        request.caller.account_id, channel_id, request.context()
    )
    return Response(None, status_code=204, headers={"X-Position": str(removed.position)})


@post(
    "/notifications/channels/{channel_id:uuid}/test",
    summary="Try a channel out",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    status_code=HTTP_200_OK,
    responses=refusals(Invalid, UnknownChannel, UnreadableStream, *NOT_LET_IN),
)
async def test_channel(request: Call, channel_id: FromPath[UUID]) -> Trial:
    """Sends a message now, even if it is off, and waits for what comes of it."""
    request.query(NoQuery)
    reason = await request.doors.delivering.test(request.caller.account_id, channel_id)
    return Trial(reason is None, reason)


@get(
    "/notifications/preferences",
    summary="Show where news goes",
    opt={"action": Action.SEE_NOTIFICATIONS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, UnreadableStream, *NOT_LET_IN),
)
async def show_preferences(request: Call) -> PreferencesView:
    """Every kind of news. It is always as it stands now."""
    request.query(ReadQuery)
    return _preferences(await request.doors.choices.of(request.caller.account_id))


@put(
    "/notifications/preferences",
    summary="Choose where news goes",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    response_headers=[X_POSITION],
    responses=refusals(*BAD_BODY, UnknownChannels, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def change_preferences(
    request: Call, data: JSONBody[PreferencesWish]
) -> Response[PreferencesView]:
    """Replaces all that was chosen before."""
    wanted = {
        item.kind: Preference(item.inbox, None if item.channels is None else _once(item.channels))
        for item in data.items
    }
    if len(wanted) < len(data.items):
        raise Invalid([FieldError("items", "Each kind can be given only once.")])
    chosen = await request.doors.choices.prefer(
        request.caller.account_id, wanted, request.context()
    )
    headers = {"X-Position": str(chosen.position)}
    return Response(_preferences(chosen.state), headers=headers)


def _once(channels: tuple[UUID, ...]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(channels))


def _preferences(chosen: NotificationSettings) -> PreferencesView:
    return PreferencesView(
        [
            PreferenceView(kind, preference.inbox, preference.channels)
            for kind, preference in ((kind, chosen.preference(kind)) for kind in NoticeKind)
        ]
    )


async def _views(request: Call, *channels: Channel) -> list[ChannelView]:
    owner = request.caller.account_id
    names = await request.doors.personal_data.reveal_all(
        (owner, CHANNEL_NAME, channel.name) for channel in channels
    )
    return [
        ChannelView(channel.id, name or "", channel.kind, channel.on, channel.off_reason)
        for channel, name in zip(channels, names, strict=True)
    ]
