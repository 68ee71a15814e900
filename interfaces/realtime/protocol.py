"""What is said over the WebSocket beside the events themselves, and how it ends."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from interfaces.realtime.messages import Topic

PATH = "/api/v1/ws"
SUBPROTOCOL = "medianest.v1"

# What clients say


class Authenticate(msgspec.Struct, frozen=True, tag="authenticate", forbid_unknown_fields=True):
    """The token, for clients that could put it nowhere else."""

    token: str


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", forbid_unknown_fields=True):
    """What to send, behind which position; without ``from``, from now on."""

    topics: Annotated[frozenset[Topic], Meta(min_length=1)]
    position: Annotated[int, Meta(ge=0)] | None = msgspec.field(default=None, name="from")


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """An answer to a ping; welcome, and not needed."""


ClientMessage: TypeAlias = Authenticate | Subscribe | Pong


# What the server says


class Subscribed(msgspec.Struct, frozen=True, tag="subscribed"):
    """Everything of the topics behind ``position`` follows."""

    topics: Iterable[Topic]
    position: int


class Ping(msgspec.Struct, frozen=True, tag="ping", omit_defaults=True):
    """Everything of the topics up to ``position`` was sent: one may resume behind it.

    Whether the client is there is found out by ping frames, which are the server's own business and
    which pages in browsers do not see. This message is for them, and saves them a long catch-up
    after a quiet time.
    """

    position: int | None = None


# How it ends


class CloseCode(IntEnum):
    """Why the server ends a socket."""

    DRAINING = 1001
    INTERNAL_ERROR = 1011
    BAD_MESSAGE = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408


class Closing(Exception):
    """The server ends the socket, with a reason for the client's developer."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        # A close frame has room for 123 bytes.
        self.reason = reason.encode()[:123].decode(errors="ignore")


class Gone(Exception):
    """The client has left."""
