"""E-mail against a real SMTP server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from application.ports.notifiers import DeliveryFailed, Email, Notice, Undeliverable
from infrastructure.notifiers.mail import MailServer, send_mail
from tests.infrastructure.notifiers.receivers import Mailbox, mail_server

ANN = Email("ann@example.org")
NOTICE = Notice(
    UUID(int=7),
    "requestAvailable",
    datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    "Amélie is available",
    "You can watch it now.",
    "https://home.example.org/requests/7",
)
SENDER = "MediaNest <nest@home.example.org>"


@asynccontextmanager
async def serving(mailbox: Mailbox, *, login: bool = False) -> AsyncGenerator[MailServer]:
    async with mail_server(mailbox, login=login) as port:
        yield MailServer("127.0.0.1", port, SENDER)


async def test_a_message_arrives_as_it_was_meant() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as server:
        await send_mail(server, ANN, NOTICE)
    (message,) = mailbox.messages
    assert (message["From"], message["To"]) == (SENDER, "ann@example.org")
    assert message["Subject"] == "Amélie is available"
    assert message["Message-ID"] == f"<{NOTICE.id}@home.example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Sun, 01 Mar 2026 12:30:00 +0000"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.decode().split() == f"{NOTICE.body} {NOTICE.link}".split()


async def test_a_title_cannot_add_a_header() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as server:
        title = "Alien\r\nBcc: everybody@example.org"
        await send_mail(server, ANN, msgspec.structs.replace(NOTICE, title=title))
    (message,) = mailbox.messages
    assert message["Bcc"] is None
    assert message["Subject"] == "Alien Bcc: everybody@example.org"


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@example.org, bob@example.org", "a\n@b.c", "@b"]
)
async def test_what_is_no_mailbox_is_given_up(address: str) -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as server:
        with pytest.raises(Undeliverable, match="no e-mail address"):
            await send_mail(server, Email(address), NOTICE)
    assert mailbox.messages == []


@pytest.mark.parametrize("of", ["to_recipient", "to_message"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [("450 try later", DeliveryFailed), ("552 ann@example.org is full", Undeliverable)],
)
async def test_a_refusal_is_for_now_or_for_good(
    of: str, reply: str, error: type[Exception]
) -> None:
    mailbox = Mailbox()
    setattr(mailbox, of, reply)
    async with serving(mailbox) as server:
        with pytest.raises(error, match=reply[:3]) as refused:
            await send_mail(server, ANN, NOTICE)
    assert "ann@" not in str(refused.value)


async def test_who_has_to_log_in_does_so() -> None:
    mailbox = Mailbox()
    async with serving(mailbox, login=True) as server:
        known = msgspec.structs.replace(server, username="nest", password="right")
        await send_mail(known, ANN, NOTICE)
        with pytest.raises(Undeliverable, match="535"):
            await send_mail(msgspec.structs.replace(known, password="wrong"), ANN, NOTICE)
    assert set(mailbox.users) == {"nest"}
    assert len(mailbox.messages) == 1


async def test_a_server_that_is_away_may_be_back_later() -> None:
    with pytest.raises(DeliveryFailed, match="cannot be reached"):
        await send_mail(MailServer("127.0.0.1", 1, SENDER), ANN, NOTICE)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", MailServer("mail", 587, SENDER)),
        ("smtp://mail:25", MailServer("mail", 25, SENDER)),
        ("smtps://a%40b:p%3Aw@mail", MailServer("mail", 465, SENDER, "a@b", "p:w", True)),
    ],
)
def test_a_url_names_the_server(url: str, server: MailServer) -> None:
    assert MailServer.parse(url, SENDER) == server


@pytest.mark.parametrize("url", ["", "mail", "http://mail", "smtp://", "smtp:mail"])
def test_a_url_of_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="it must be smtp"):
        MailServer.parse(url, SENDER)
