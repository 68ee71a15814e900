"""Three hundred visits at once: ``python -m tests.infrastructure.gate.crowd REDIS_URL SUBJECT``.

They go through two gates, as through two routes, and the number of those let in is printed.
"""

import asyncio
import sys
from datetime import timedelta

from application.ports import Visit
from infrastructure.gate import RedisGate


async def main(redis_url: str, subject: str) -> None:
    visit = Visit("general", 100, timedelta(hours=1), subject)
    async with RedisGate(redis_url) as first, RedisGate(redis_url) as second:
        passages = await asyncio.gather(
            *(gate.enter(visit) for _ in range(150) for gate in (first, second))
        )
        assert not first.away
        assert not second.away
    sys.stdout.write(str(sum(passage.retry_after is None for passage in passages)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
