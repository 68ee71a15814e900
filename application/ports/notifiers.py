"""How people are told outside of MediaNest: where to, what, and what can go wrong."""

from datetime import datetime
from typing import Annotated, Protocol, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from application.ports.kernel import PortError, Retriable

Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f]*$(?!\n)",
        extra={"words": "a text of 1 to 500 characters, on one line"},
    ),
]
Url = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=r"^https?://[^\x00-\x20]+$(?!\n)",
        extra={"words": "a URL that begins with https:// or http://, at most 2000 characters"},
    ),
]


class Webhook(msgspec.Struct, frozen=True, tag="webhook", forbid_unknown_fields=True):
    """A URL that is sent the notice as JSON, signed with ``secret`` (Standard Webhooks 1.0)."""

    url: Url
    secret: Text


class Discord(msgspec.Struct, frozen=True, tag="discord", forbid_unknown_fields=True):
    """A webhook of a Discord channel, as Discord shows its URL."""

    url: Url


class Ntfy(msgspec.Struct, frozen=True, tag="ntfy", forbid_unknown_fields=True):
    """A topic of an ntfy server."""

    topic: Text
    url: Url = "https://ntfy.sh"
    token: Text | None = None


class Gotify(msgspec.Struct, frozen=True, tag="gotify", forbid_unknown_fields=True):
    """An application of a Gotify server, by its token."""

    url: Url
    token: Text


class Telegram(
    msgspec.Struct, frozen=True, tag="telegram", forbid_unknown_fields=True, rename="camel"
):
    """A chat, and the token of the bot that writes there. ``thread_id`` is a topic of a group."""

    bot_token: Text
    chat_id: Text
    thread_id: Annotated[int, Meta(ge=1, le=2**53)] | None = None


class Email(msgspec.Struct, frozen=True, tag="email", forbid_unknown_fields=True):
    """A mailbox; the server that sends is a setting of the installation."""

    to: Text


class Apprise(msgspec.Struct, frozen=True, tag="apprise", forbid_unknown_fields=True):
    """Any service that Apprise knows, by its URL."""

    url: Text


Address: TypeAlias = Webhook | Discord | Ntfy | Gotify | Telegram | Email | Apprise
"""Where to. All of it is secret: who knows it can write there."""


class Notice(msgspec.Struct, frozen=True):
    """What is told. ``id`` is that of the delivery, the same at every attempt.

    ``kind`` is a stable name such as ``requestAvailable``; ``link`` leads to what it is about.
    """

    id: UUID
    kind: str
    at: datetime
    title: str
    body: str
    link: str | None = None


class Undeliverable(PortError):
    """It was refused, and would be so again: somebody has to change the address."""


class DeliveryFailed(Retriable):
    """It did not arrive, or nobody knows whether it did."""


class Notifier(Protocol):
    """Tells somebody, somewhere."""

    async def deliver(self, address: Address, notice: Notice) -> None:
        """Hand ``notice`` over, once. Raises Undeliverable or DeliveryFailed."""
        ...
