"""E-mail by SMTP, in a thread: the standard library's client blocks."""

import asyncio
import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import msgspec

from application.ports.notifiers import DeliveryFailed, Email, Notice, Undeliverable

TIMEOUT = 20.0
"""Seconds for each step of a conversation with the server."""
_TRANSIENT = range(400, 500)
"""Replies after which the same may work later (RFC 5321, 4.2.1)."""


class MailServer(msgspec.Struct, frozen=True):
    """Who sends our mail, and as whom. ``implicit_tls``: from the first byte (RFC 8314)."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = None
    implicit_tls: bool = False
    starttls: bool = True

    @classmethod
    def parse(cls, url: str, sender: str) -> "MailServer":
        """From ``smtps://user:password@host:465``, or ``smtp://`` with STARTTLS when offered.

        Raises ValueError, with words for a person.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("it must be smtp://host or smtps://host.")
        implicit = parts.scheme == "smtps"
        return cls(
            parts.hostname,
            parts.port or (465 if implicit else 587),
            sender,
            parts.username and unquote(parts.username),
            parts.password and unquote(parts.password),
            implicit_tls=implicit,
        )


async def send_mail(server: MailServer, to: Email, notice: Notice) -> None:
    """One message to one mailbox; the Message-ID is the same at every attempt.

    Raises Undeliverable or DeliveryFailed; no message shows an address.
    """
    message = _message(server, to, notice)
    try:
        await asyncio.to_thread(_hand_over, server, message)
    except smtplib.SMTPRecipientsRefused as refused:
        ((code, _),) = refused.recipients.values()
        raise _refusal(code, "the mailbox") from None
    except smtplib.SMTPResponseException as refused:
        raise _refusal(refused.smtp_code, "the message") from None
    except (smtplib.SMTPException, OSError):
        raise DeliveryFailed("The mail server cannot be reached.") from None


def _message(server: MailServer, to: Email, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = _mailbox(to.to)
    message["Subject"] = " ".join(notice.title.split())  # a line break would begin a header
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{notice.id}@{server.sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: holidays need not be told
    message.set_content("\n\n".join(filter(None, (notice.body, notice.link))))
    return message


def _mailbox(address: str) -> Mailbox:
    try:
        return Mailbox(addr_spec=address)
    except (ValueError, IndexError, MessageError):
        raise Undeliverable("It is no e-mail address.") from None


def _hand_over(server: MailServer, message: EmailMessage) -> None:
    tls = ssl.create_default_context()
    if server.implicit_tls:
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT, context=tls
        )
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    with client:
        client.ehlo()
        if server.starttls and not server.implicit_tls and client.has_extn("starttls"):
            client.starttls(context=tls)
            client.ehlo()
        if server.username is not None:
            client.login(server.username, server.password or "")
        client.send_message(message)


def _refusal(code: int, what: str) -> Undeliverable | DeliveryFailed:
    told = f"The mail server refused {what} ({code})."
    return DeliveryFailed(told) if code in _TRANSIENT else Undeliverable(told)
