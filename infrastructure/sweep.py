"""Looks at everything that Overseerr has of ours, now and then, as its webhooks may get lost."""

import asyncio

from application.upstream_news import RequestsThere, UpstreamNews
from infrastructure.ownership import own
from infrastructure.postgres import connect

NAME = "upstream sweep"


class UpstreamSweep:
    """A sweep every so many seconds; any number of workers may run it, and one at a time does."""

    def __init__(
        self, database_url: str, news: UpstreamNews, requests: RequestsThere, *, seconds: float
    ) -> None:
        self._database_url = database_url
        self._news = news
        self._requests = requests
        self._seconds = seconds

    async def run(self) -> None:
        """Sweep until cancelled; raises what ends it, to be started again."""
        async with await connect(self._database_url, NAME) as owner:
            await own(owner, NAME)
            while True:
                await self._news.sweep(self._requests)
                await asyncio.sleep(self._seconds)
                await owner.execute("SELECT 1")  # lost with the connection is the ownership
