"""Tells what happens to those parts of a process that keep some of it in memory."""

from collections.abc import Callable, Sequence

from application.ports import EventFeed
from domain.kernel import Event, Recorded


class Listeners:
    """Everybody who wants to hear every event from the present on, in order, each once."""

    def __init__(self, feed: EventFeed, hear: Sequence[Callable[[Recorded[Event]], None]]) -> None:
        self._feed = feed
        self._hear = hear
        self.position = feed.head

    async def run(self) -> None:
        """Tell them until cancelled; run again after a failure, it goes on where it was."""
        async for page in self._feed.subscribe(self.position):
            for recorded in page:
                for hear in self._hear:
                    hear(recorded)
                self.position = recorded.position
