"""How the Overseerr stand-in tells of changes: its one webhook, with the default template.

Source: ``server/lib/notifications/agents/webhook.ts``. Like the original it posts once, and whether
anybody hears is not its business: no id, no time, no signature, no second attempt. Every scalar is
a text; what there is none of is ``null`` where it would be an object, and empty elsewhere.
"""

import asyncio
from typing import Any

import httpx

from infrastructure.stand_ins.overseerr_records import (
    MediaRequest,
    MediaStatus,
    Notification,
    WebhookSettings,
)
from infrastructure.stand_ins.titles import find_title

PATIENCE = 5.0
"""Seconds for one call; the original has no limit, but would not be awaited either."""
_WORDS = {
    Notification.MEDIA_PENDING: "Request Pending Approval",
    Notification.MEDIA_APPROVED: "Request Approved",
    Notification.MEDIA_AUTO_APPROVED: "Request Automatically Approved",
    Notification.MEDIA_AVAILABLE: "Request Now Available",
    Notification.MEDIA_DECLINED: "Request Declined",
    Notification.MEDIA_FAILED: "Request Failed",
}


class Webhook:
    """Posts notifications in the background, as it is set."""

    def __init__(self) -> None:
        self.settings = WebhookSettings()
        self._posting: set[asyncio.Task[None]] = set()

    def tell(self, kind: Notification, item: MediaRequest) -> None:
        """Post what has happened to a request, if that kind of news is wanted."""
        if self.settings.types & kind:
            self._begin(_about(kind, item))

    def test(self) -> None:
        """Post the test notification, whatever is wanted."""
        self._begin(_payload(Notification.TEST_NOTIFICATION, "", "Test Notification"))

    async def close(self) -> None:
        """Stop posting."""
        for task in self._posting:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)

    def _begin(self, payload: dict[str, Any]) -> None:
        options = self.settings.options
        if self.settings.enabled and options.webhook_url:
            posting = _post(options.webhook_url, options.auth_header, payload)
            task = asyncio.create_task(posting)
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)


async def _post(url: str, authorization: str, payload: dict[str, Any]) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with httpx.AsyncClient(verify=url.startswith("https:"), timeout=PATIENCE) as client:
        try:
            await client.post(url, json=payload, headers=headers)
        except httpx.HTTPError:
            return  # the original writes a line into its log, and that is all


def _about(kind: Notification, item: MediaRequest) -> dict[str, Any]:
    title = find_title(item.type, item.media.tmdb_id)
    name = title.name if title else ""
    year = f" ({title.released.year})" if title and title.released else ""
    quality = "4K " if item.is4k else ""
    noun = "Movie" if item.type == "movie" else "Series"
    payload = _payload(kind, f"{quality}{noun} {_WORDS[kind]}", f"{name}{year}")
    payload["media"] = {
        "media_type": item.type,
        "tmdbId": str(item.media.tmdb_id),
        "tvdbId": str(item.media.tvdb_id or ""),
        "status": MediaStatus(item.media.status).name,
        "status4k": MediaStatus(item.media.status4k).name,
    }
    payload["request"] = {
        "request_id": str(item.id),
        "requestedBy_email": item.requested_by.email,
        "requestedBy_username": item.requested_by.display_name,
        "requestedBy_avatar": "",
        "requestedBy_settings_discordId": "",
        "requestedBy_settings_telegramChatId": "",
    }
    if item.seasons:
        numbers = ", ".join(str(season.season_number) for season in item.seasons)
        payload["extra"] = [{"name": "Requested Seasons", "value": numbers}]
    return payload


def _payload(kind: Notification, event: str, subject: str) -> dict[str, Any]:
    return {
        "notification_type": kind.name,
        "event": event,
        "subject": subject,
        "message": "",
        "image": "",
        "media": None,
        "request": None,
        "issue": None,
        "comment": None,
        "extra": [],
    }
