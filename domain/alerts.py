"""An alert: something that a person should look at, told once however often it happens."""

from datetime import datetime, timedelta
from typing import TypeAlias, assert_never, get_args
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id

REPEAT_AFTER = timedelta(minutes=1)
"""An alert that keeps coming is an event at most so often; in between it is only counted."""


# Events


class AlertRaised(Event, frozen=True, tag="alert.raised"):
    """Something needs a person. ``times`` is how often it has happened up to now."""

    kind: str
    subject: str
    title: str
    detail: str
    raised_at: datetime
    times: int = 1


class AlertRepeated(Event, frozen=True, tag="alert.repeated"):
    """It has happened ``times`` more often since it was last told."""

    times: int
    repeated_at: datetime


class AlertAcknowledged(Event, frozen=True, tag="alert.acknowledged"):
    """The account ``by`` has seen it."""

    by: UUID


class AlertResolved(Event, frozen=True, tag="alert.resolved"):
    """It is over; if it happens again, it is raised anew."""


AlertEvent: TypeAlias = AlertRaised | AlertRepeated | AlertAcknowledged | AlertResolved


# Commands


class RaiseAlert(Command, frozen=True):
    """Tell that something has happened, ``times`` times since it was last told, until ``at``.

    ``kind`` is a slug such as ``error``; ``subject`` names what it is about within its kind.
    """

    kind: str
    subject: str
    title: str
    detail: str
    at: datetime
    times: int = 1


class AcknowledgeAlert(Command, frozen=True):
    """Say that one has seen it."""

    by: UUID


class ResolveAlert(Command, frozen=True):
    """Say that it is over."""


AlertCommand: TypeAlias = RaiseAlert | AcknowledgeAlert | ResolveAlert


# Refusals


class UnknownAlert(DomainError):
    """There is no such alert."""

    def __init__(self) -> None:
        super().__init__("There is no such alert.")


# Decisions


class Alert(msgspec.Struct, frozen=True):
    """What the decisions about an alert depend on."""

    last_told_at: datetime
    acknowledged: bool = False
    resolved: bool = False


def alert_id(kind: str, subject: str) -> UUID:
    """One stream for each subject of a kind, so that what happens again meets its own alert."""
    return stream_id("alert", kind, subject)


def decide(command: AlertCommand, alert: Alert | None) -> list[AlertEvent]:
    """What follows from ``command``; raises UnknownAlert."""
    match command:
        case RaiseAlert():
            return _raised(command, alert)
        case AcknowledgeAlert(by):
            if alert is None:
                raise UnknownAlert
            return [] if alert.acknowledged or alert.resolved else [AlertAcknowledged(by)]
        case ResolveAlert():
            if alert is None:
                raise UnknownAlert
            return [] if alert.resolved else [AlertResolved()]
        case _:
            assert_never(command)


def _raised(command: RaiseAlert, alert: Alert | None) -> list[AlertEvent]:
    if alert is None or alert.resolved:
        return [
            AlertRaised(
                command.kind,
                command.subject,
                command.title,
                command.detail,
                raised_at=command.at,
                times=command.times,
            )
        ]
    if command.at - alert.last_told_at < REPEAT_AFTER:
        return []
    return [AlertRepeated(command.times, repeated_at=command.at)]


def evolve(alert: Alert | None, event: AlertEvent) -> Alert | None:
    """The alert after ``event``."""
    match event:
        case AlertRaised(raised_at=raised_at):
            return Alert(raised_at)
        case AlertRepeated(repeated_at=repeated_at):
            return alert and msgspec.structs.replace(alert, last_told_at=repeated_at)
        case AlertAcknowledged():
            return alert and msgspec.structs.replace(alert, acknowledged=True)
        case AlertResolved():
            return alert and msgspec.structs.replace(alert, resolved=True)
        case _:
            assert_never(event)


alerts: Decider[AlertCommand, Alert, AlertEvent] = Decider(
    "alert", get_args(AlertEvent), decide, evolve
)
