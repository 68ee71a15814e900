"""Every kind of address that is a web service: what it is posted, and what its answers mean."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from application.ports.notifiers import (
    Address,
    Apprise,
    DeliveryFailed,
    Discord,
    Email,
    Gotify,
    Notice,
    Ntfy,
    Telegram,
    Undeliverable,
    Webhook,
)
from infrastructure.notifiers.notifier import RealNotifier
from infrastructure.stand_ins.http import Response, json_response
from tests.infrastructure.notifiers.receivers import HttpReceiver

# Of its own, on import.
BY_APPRISE = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NOTICE = Notice(
    UUID(int=7),
    "requestAvailable",
    AT,
    "Alien is *available*",
    "You can watch it <now>.\nEnjoy, @everyone!",
    "https://home.example.org/requests/7",
)
LONG = msgspec.structs.replace(NOTICE, title="t" * 5000, body="b" * 9000, link=None)


@pytest.fixture
async def receiver() -> AsyncGenerator[HttpReceiver]:
    async with HttpReceiver.listening() as receiver:
        yield receiver


@pytest.fixture
async def notifier(receiver: HttpReceiver) -> AsyncGenerator[RealNotifier]:
    notifier = RealNotifier(lambda: datetime.now(UTC), private=True, telegram_url=receiver.url)
    yield notifier
    await notifier.aclose()


def addresses(url: str) -> dict[str, Address]:
    return {
        "webhook": Webhook(f"{url}/hook?key=hidden", SECRET),
        "discord": Discord(f"{url}/api/webhooks/1/hidden"),
        "ntfy": Ntfy("films", url, "hidden"),
        "gotify": Gotify(f"{url}/gotify/", "hidden"),
        "telegram": Telegram("12:hidden", "-100", 5),
    }


KINDS = sorted(addresses(""))


async def test_a_webhook_is_signed_so_that_its_receiver_can_verify_it(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    await notifier.deliver(addresses(receiver.url)["webhook"], NOTICE)
    (request,) = receiver.requests
    assert (request.path, request.query) == ("/hook", {"key": "hidden"})
    verified = Verifier(SECRET).verify(request.body, request.headers)
    assert verified == receiver.body
    assert receiver.body == {
        "type": "requestAvailable",
        "timestamp": "2026-03-01T12:30:00Z",
        "data": {"title": NOTICE.title, "body": NOTICE.body, "link": NOTICE.link},
    }
    assert request.headers["webhook-id"] == str(NOTICE.id)
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_AAAA").verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body.replace(b"Alien", b"Aliem"), request.headers)


async def test_a_secret_that_is_no_base64_is_the_key_as_it_is(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    await notifier.deliver(Webhook(receiver.url, "a plain secret"), NOTICE)
    (request,) = receiver.requests
    verifier = Verifier(b"a plain secret")
    assert verifier.verify(request.body, request.headers) == receiver.body


async def test_discord_is_sent_an_embed_that_mentions_nobody(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    await notifier.deliver(addresses(receiver.url)["discord"], NOTICE)
    assert receiver.requests[0].path == "/api/webhooks/1/hidden"
    assert receiver.body["allowed_mentions"] == {"parse": []}
    assert receiver.body["embeds"] == [
        {
            "title": NOTICE.title,
            "description": NOTICE.body,
            "timestamp": "2026-03-01T12:30:00Z",
            "url": NOTICE.link,
        }
    ]


async def test_ntfy_is_sent_a_message_of_the_topic(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    await notifier.deliver(addresses(receiver.url)["ntfy"], NOTICE)
    assert receiver.requests[0].headers["authorization"] == "Bearer hidden"
    assert receiver.body == {
        "topic": "films",
        "title": NOTICE.title,
        "message": NOTICE.body,
        "click": NOTICE.link,
    }


async def test_gotify_is_sent_a_message_of_the_application(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    await notifier.deliver(addresses(receiver.url)["gotify"], NOTICE)
    (request,) = receiver.requests
    assert (request.path, request.headers["x-gotify-key"]) == ("/gotify/message", "hidden")
    assert receiver.body == {
        "title": NOTICE.title,
        "message": NOTICE.body,
        "priority": 5,
        "extras": {"client::notification": {"click": {"url": NOTICE.link}}},
    }


async def test_telegram_is_sent_plain_text(notifier: RealNotifier, receiver: HttpReceiver) -> None:
    await notifier.deliver(addresses(receiver.url)["telegram"], NOTICE)
    assert receiver.requests[0].path == "/bot12:hidden/sendMessage"
    assert receiver.body == {
        "chat_id": "-100",
        "message_thread_id": 5,
        "text": f"{NOTICE.title}\n\n{NOTICE.body}\n\n{NOTICE.link}",
    }


@pytest.mark.parametrize("kind", ["discord", "ntfy", "telegram"])
async def test_what_is_too_long_for_a_service_is_cut(
    notifier: RealNotifier, receiver: HttpReceiver, kind: str
) -> None:
    await notifier.deliver(addresses(receiver.url)[kind], LONG)
    sent = receiver.body["embeds"][0] if kind == "discord" else receiver.body
    lengths = [len(value) for value in sent.values() if isinstance(value, str)]
    assert max(lengths) in {4000, 4096}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_what_may_pass_is_to_be_tried_again_when_the_service_says(
    notifier: RealNotifier, receiver: HttpReceiver, kind: str, status: int
) -> None:
    receiver.answers = [Response(status, b"hidden", {"Retry-After": "37"})]
    with pytest.raises(DeliveryFailed, match=str(status)) as failed:
        await notifier.deliver(addresses(receiver.url)[kind], NOTICE)
    assert failed.value.retry_after == timedelta(seconds=37)


async def test_telegram_says_in_the_body_when_to_come_back(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    refusal = {"ok": False, "error_code": 429, "parameters": {"retry_after": 14}}
    receiver.answers = [json_response(429, refusal)]
    with pytest.raises(DeliveryFailed) as failed:
        await notifier.deliver(addresses(receiver.url)["telegram"], NOTICE)
    assert failed.value.retry_after == timedelta(seconds=14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 422])
async def test_what_would_be_refused_again_is_given_up(
    notifier: RealNotifier, receiver: HttpReceiver, kind: str, status: int
) -> None:
    location = {"Location": f"{receiver.url}/elsewhere"}
    receiver.answers = [Response(status, b"hidden", location)]
    with pytest.raises(Undeliverable, match=str(status)):
        await notifier.deliver(addresses(receiver.url)[kind], NOTICE)
    assert len(receiver.requests) == 1  # and no redirect is followed


@pytest.mark.parametrize("kind", KINDS)
async def test_no_failure_shows_the_address(
    notifier: RealNotifier, receiver: HttpReceiver, kind: str
) -> None:
    receiver.answers = [Response(404, b"hidden"), Response(500, b"hidden")]
    for _ in range(2):
        with pytest.raises((Undeliverable, DeliveryFailed)) as failed:
            await notifier.deliver(addresses(receiver.url)[kind], NOTICE)
        assert "hidden" not in str(failed.value)
        assert str(receiver.port) not in str(failed.value)


async def test_what_cannot_be_reached_may_be_so_later(notifier: RealNotifier) -> None:
    with pytest.raises(DeliveryFailed, match="cannot be reached"):
        await notifier.deliver(Webhook("http://127.0.0.1:1/hidden", SECRET), NOTICE)
    with pytest.raises(DeliveryFailed, match="name of the address is not known"):
        await notifier.deliver(Webhook("http://nowhere.invalid/hidden", SECRET), NOTICE)


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1/", "nowhere", "http://", "file:///etc/passwd"]
)
async def test_what_is_no_url_is_given_up(notifier: RealNotifier, url: str) -> None:
    with pytest.raises(Undeliverable):
        await notifier.deliver(Webhook(url, SECRET), NOTICE)


async def test_without_a_mail_server_no_mail_is_sent(notifier: RealNotifier) -> None:
    with pytest.raises(DeliveryFailed, match="No mail server"):
        await notifier.deliver(Email("ann@example.org"), NOTICE)


@BY_APPRISE
async def test_apprise_tells_any_service_that_it_knows(
    notifier: RealNotifier, receiver: HttpReceiver
) -> None:
    address = Apprise(f"json://127.0.0.1:{receiver.port}/films")
    await notifier.deliver(address, NOTICE)
    assert receiver.body["title"] == NOTICE.title
    assert NOTICE.link in receiver.body["message"]
    receiver.answers = [Response(500)]
    with pytest.raises(DeliveryFailed):
        await notifier.deliver(address, NOTICE)


@BY_APPRISE
async def test_apprise_does_not_know_every_service(notifier: RealNotifier) -> None:
    with pytest.raises(Undeliverable, match="no service"):
        await notifier.deliver(Apprise("carrier-pigeon://home"), NOTICE)
