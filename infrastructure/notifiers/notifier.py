"""``application.ports.Notifier`` on the real world: which sender serves which kind of address."""

import asyncio
from importlib import import_module
from typing import Any, assert_never

from application.ports import Clock
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
from infrastructure.notifiers import senders
from infrastructure.notifiers.mail import MailServer, send_mail
from infrastructure.notifiers.outgoing import Outgoing


class RealNotifier:
    """Delivers to every kind of address.

    ``private`` allows HTTP to one's own network; ``mail`` is who sends e-mail, if anybody does.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        private: bool,
        mail: MailServer | None = None,
        telegram_url: str = senders.TELEGRAM,
    ) -> None:
        self._clock = clock
        self._mail = mail
        self._telegram_url = telegram_url
        self._out = Outgoing(private=private)

    async def deliver(self, address: Address, notice: Notice) -> None:
        """See ``application.ports.Notifier``."""
        match address:
            case Webhook():
                await senders.send_webhook(self._out, address, notice, self._clock)
            case Discord():
                await senders.send_discord(self._out, address, notice)
            case Ntfy():
                await senders.send_ntfy(self._out, address, notice)
            case Gotify():
                await senders.send_gotify(self._out, address, notice)
            case Telegram():
                await senders.send_telegram(self._out, address, notice, url=self._telegram_url)
            case Email():
                if self._mail is None:
                    raise DeliveryFailed("No mail server is set.")
                await send_mail(self._mail, address, notice)
            case Apprise():
                await _send_by_apprise(address, notice)
            case _:
                assert_never(address)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._out.aclose()


async def _send_by_apprise(address: Apprise, notice: Notice) -> None:
    """It says only whether it worked, so every failure is one that may pass."""
    try:  # an extra, and slow to import
        apprise: Any = await asyncio.to_thread(import_module, "apprise")
    except ImportError:
        raise Undeliverable("Apprise is not installed: pip install 'medianest[apprise]'.") from None
    service = apprise.Apprise()
    if not service.add(address.url):
        raise Undeliverable("Apprise knows no service by this URL.")
    body = "\n\n".join(filter(None, (notice.body, notice.link)))
    if not await service.async_notify(body=body, title=notice.title):
        raise DeliveryFailed("The service did not take it.")
