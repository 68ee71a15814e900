"""What people may be told, and by what."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notification tells; the names are those that clients and webhooks see."""

    NEW_REQUEST = "newRequest"
    REQUEST_APPROVED = "requestApproved"
    REQUEST_DECLINED = "requestDeclined"
    REQUEST_CANCELLED = "requestCancelled"
    REQUEST_FAILED = "requestFailed"
    REQUEST_AVAILABLE = "requestAvailable"


class ChannelKind(StrEnum):
    """A service that carries messages; the names are those of ``application.ports.notifiers``."""

    WEBHOOK = "webhook"
    DISCORD = "discord"
    NTFY = "ntfy"
    GOTIFY = "gotify"
    TELEGRAM = "telegram"
    EMAIL = "email"
    APPRISE = "apprise"
