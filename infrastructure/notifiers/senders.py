"""What each kind of service is posted: one function for each."""

from datetime import timedelta
from urllib.parse import quote

import msgspec

from application.ports import Clock
from application.ports.notifiers import (
    Discord,
    Gotify,
    Notice,
    Ntfy,
    Telegram,
    Webhook,
)
from infrastructure.notifiers.outgoing import Outgoing
from infrastructure.notifiers.signatures import signature_headers

TELEGRAM = "https://api.telegram.org"
LONGEST_DISCORD_TITLE, LONGEST_DISCORD_BODY = 256, 4096
LONGEST_TELEGRAM = 4096
LONGEST_NTFY_TITLE, LONGEST_NTFY_BODY = 250, 4000
"""In characters; of more, the end is cut off, as the services would refuse it."""


async def send_webhook(out: Outgoing, to: Webhook, notice: Notice, clock: Clock) -> None:
    """The notice itself, signed at each attempt anew."""
    body = msgspec.json.encode(
        {
            "type": notice.kind,
            "timestamp": notice.at,
            "data": {"title": notice.title, "body": notice.body, "link": notice.link},
        }
    )
    headers = signature_headers(to.secret, notice.id, clock(), body)
    await out.post(to.url, content=body, headers={"Content-Type": "application/json", **headers})


async def send_discord(out: Outgoing, to: Discord, notice: Notice) -> None:
    """An embed that mentions nobody.

    Source: https://discord.com/developers/docs/resources/webhook
    """
    embed = {
        "title": notice.title[:LONGEST_DISCORD_TITLE],
        "description": notice.body[:LONGEST_DISCORD_BODY],
        "timestamp": notice.at,
        **({"url": notice.link} if notice.link else {}),
    }
    nobody: list[str] = []
    body = {"embeds": [embed], "allowed_mentions": {"parse": nobody}}
    await out.post(to.url, body=body, query={"wait": "true"})


async def send_ntfy(out: Outgoing, to: Ntfy, notice: Notice) -> None:
    """A message of a topic, as JSON.

    Source: https://docs.ntfy.sh/publish/#publish-as-json
    """
    body = {
        "topic": to.topic,
        "title": notice.title[:LONGEST_NTFY_TITLE],
        "message": notice.body[:LONGEST_NTFY_BODY],
        **({"click": notice.link} if notice.link else {}),
    }
    headers = {"Authorization": f"Bearer {to.token}"} if to.token else {}
    await out.post(to.url, body=body, headers=headers)


async def send_gotify(out: Outgoing, to: Gotify, notice: Notice) -> None:
    """A message of an application.

    Source: https://gotify.net/api-docs#/message/createMessage
    """
    click = {"client::notification": {"click": {"url": notice.link}}} if notice.link else {}
    body = {"title": notice.title, "message": notice.body, "priority": 5, "extras": click}
    headers = {"X-Gotify-Key": to.token}
    await out.post(f"{to.url.rstrip('/')}/message", body=body, headers=headers)


class _Parameters(msgspec.Struct):
    retry_after: int | None = None


class _Refusal(msgspec.Struct):
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


async def send_telegram(
    out: Outgoing, to: Telegram, notice: Notice, *, url: str = TELEGRAM
) -> None:
    """Plain text, in which nothing is markup.

    Source: https://core.telegram.org/bots/api#sendmessage
    """
    text = "\n\n".join(filter(None, (notice.title, notice.body, notice.link)))
    thread = {} if to.thread_id is None else {"message_thread_id": to.thread_id}
    body = {"chat_id": to.chat_id, "text": text[:LONGEST_TELEGRAM], **thread}
    call = f"{url}/bot{quote(to.bot_token, safe=':')}/sendMessage"
    await out.post(call, body=body, wait_of=_wait_of)


def _wait_of(refusal: bytes) -> timedelta | None:
    try:
        seconds = msgspec.json.decode(refusal, type=_Refusal).parameters.retry_after
    except msgspec.DecodeError:
        return None
    return None if seconds is None else timedelta(seconds=seconds)
