"""A notification: what one person is told of one thing, once; and how far they have read."""

from datetime import datetime
from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id
from domain.notifications.kinds import NoticeKind


class Subject(msgspec.Struct, frozen=True, rename="camel"):
    """What happened to a request ``at`` a time. ``detail`` is a reason, where one was given."""

    request_id: UUID
    title: str
    at: datetime
    year: int | None = None
    detail: str | None = None
    awaits_approval: bool = False


# Events


class NotificationReceived(Event, frozen=True, tag="notification.received"):
    """A person is told of ``about``: in their inbox, if they want it there, and by ``channels``."""

    account_id: UUID
    kind: NoticeKind
    about: Subject
    in_inbox: bool
    channels: tuple[UUID, ...] = ()


class NotificationRead(Event, frozen=True, tag="notification.read"):
    """The person has read it."""


class InboxRead(Event, frozen=True, tag="inbox.read"):
    """The person has read every notification up to the position ``up_to``."""

    up_to: int


NotificationEvent: TypeAlias = NotificationReceived | NotificationRead

# Commands


class Tell(Command, frozen=True):
    """Tell a person something, unless they know."""

    account_id: UUID
    kind: NoticeKind
    about: Subject
    in_inbox: bool
    channels: tuple[UUID, ...] = ()


class Read(Command, frozen=True):
    """Note that ``by`` has read it."""

    by: UUID


class ReadInbox(Command, frozen=True):
    """Note that all is read up to a position."""

    up_to: int


NotificationCommand: TypeAlias = Tell | Read

# Refusals


class UnknownNotification(DomainError):
    """There is no such notification in the person's inbox."""

    def __init__(self) -> None:
        super().__init__("There is no such notification.")


# Decisions


class Notification(msgspec.Struct, frozen=True):
    """What the decisions about a notification, and its deliveries, depend on."""

    account_id: UUID
    kind: NoticeKind
    about: Subject
    in_inbox: bool
    channels: tuple[UUID, ...]
    read: bool = False


class Inbox(msgspec.Struct, frozen=True):
    """How far a person has read."""

    read_up_to: int


def notification_id(account_id: UUID, request_id: UUID, version: int) -> UUID:
    """One stream for each person and event of a request, so that nobody is told of it twice."""
    return stream_id("notification", str(account_id), str(request_id), version)


def inbox_id(account_id: UUID) -> UUID:
    """One stream for each person."""
    return stream_id("inbox", str(account_id))


def decide(
    command: NotificationCommand, notification: Notification | None
) -> list[NotificationEvent]:
    """What follows from ``command``; raises UnknownNotification."""
    match command:
        case Tell(account_id, kind, about, in_inbox, channels):
            if notification is not None:
                return []
            return [NotificationReceived(account_id, kind, about, in_inbox, channels)]
        case Read(by):
            if notification is None or not notification.in_inbox or by != notification.account_id:
                raise UnknownNotification
            return [] if notification.read else [NotificationRead()]
        case _:
            assert_never(command)


def evolve(notification: Notification | None, event: NotificationEvent) -> Notification | None:
    """The notification after ``event``."""
    match event:
        case NotificationReceived(account_id, kind, about, in_inbox, channels):
            return Notification(account_id, kind, about, in_inbox, channels)
        case NotificationRead():
            return notification and msgspec.structs.replace(notification, read=True)
        case _:
            assert_never(event)


def decide_reading(command: ReadInbox, inbox: Inbox | None) -> list[InboxRead]:
    """Who has read up to a place has read all before it."""
    read = 0 if inbox is None else inbox.read_up_to
    return [InboxRead(command.up_to)] if inbox is None or command.up_to > read else []


def evolve_reading(_: Inbox | None, event: InboxRead) -> Inbox:
    """How far is read after ``event``."""
    return Inbox(event.up_to)


notifications: Decider[NotificationCommand, Notification, NotificationEvent] = Decider(
    "notification", (NotificationReceived, NotificationRead), decide, evolve
)
inboxes: Decider[ReadInbox, Inbox, InboxRead] = Decider(
    "inbox", (InboxRead,), decide_reading, evolve_reading
)
