from uuid import UUID

import pytest

from application.ports.notifiers import Discord
from domain.accounts import Role
from domain.media_requests import (
    Media,
    MediaRequestCommand,
    MediaType,
    RequestMedia,
    media_request_id,
    media_requests,
)
from tests.fakes import InMemoryNotifier
from tests.notified import Notified
from tests.people import PASSWORD, context

MATRIX = Media(MediaType.MOVIE, 603)
CHAT = Discord("https://discord.com/api/webhooks/1/secret")


class Town(Notified):
    """Some people, and a request of theirs."""

    async def resident(self, name: str, role: Role = Role.USER) -> UUID:
        return await self.accounts.open_account(
            f"{name}@example.org", PASSWORD, role, context("system:test")
        )

    async def do(self, command: MediaRequestCommand, media: Media = MATRIX) -> None:
        """Something happens to the request."""
        id_ = media_request_id(media)
        await self.executor.execute(media_requests, id_, command, context("system:test"))

    async def ask(self, by: UUID, *, needs_approval: bool = False) -> None:
        await self.do(
            RequestMedia(MATRIX, "The Matrix", by, year=1999, needs_approval=needs_approval)
        )

    async def chat(self, of: UUID, role: Role = Role.USER) -> UUID:
        """A channel of a person."""
        channel_id, _ = await self.choices.add_channel(
            of, role, "My chat", CHAT, context("system:test")
        )
        return channel_id

    def kinds(self, person: UUID) -> list[str]:
        """What the person was told, in order."""
        return [told.kind.value for told in self.told(person)]

    @property
    def notifier(self) -> InMemoryNotifier:
        """That of users."""
        return self.notifiers[Role.USER]


@pytest.fixture
def town() -> Town:
    return Town()
