"""Loopback receivers: an HTTP server that answers as it is told, and a real SMTP server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from infrastructure.stand_ins.http import Request, Response, read_request, send_response
from infrastructure.stand_ins.listener import Listener


class HttpReceiver:
    """Keeps what it is sent, and answers with ``answers`` in turn, then with 204."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Response] = []
        self._listener = Listener(self._answer)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def body(self) -> Any:
        """The JSON of the only request there was."""
        (request,) = self.requests
        assert request.headers["content-type"] == "application/json"
        return msgspec.json.decode(request.body)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(await read_request(scope, receive))
        await send_response(self.answers.pop(0) if self.answers else Response(204), send)

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncGenerator["HttpReceiver"]:
        receiver = cls()
        await receiver._listener.open()
        try:
            yield receiver
        finally:
            await receiver._listener.close()


class Mailbox:
    """What a mail server was handed; ``reply`` is what it says to the next recipient or message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.users: list[str] = []
        self.to_recipient: str | None = None
        self.to_message: str | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient:
            return self.to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.to_message:
            return self.to_message
        content = envelope.content
        assert isinstance(content, bytes)
        self.messages.append(message_from_bytes(content, policy=default))
        return "250 OK"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, auth_data: Any
    ) -> AuthResult:
        self.users.append(auth_data.login.decode())
        return AuthResult(success=auth_data.password == b"right", handled=False)


@asynccontextmanager
async def mail_server(mailbox: Mailbox, *, login: bool = False) -> AsyncGenerator[int]:
    """An SMTP server on the loopback; its port."""

    def connection() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.test",
            authenticator=mailbox.authenticate if login else None,
            auth_require_tls=False,
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
