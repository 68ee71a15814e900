import asyncio

from projections.together import Together


class Shelf:
    """Keeps each look-up until it is let go on."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def look_up(self, keys: list[str]) -> dict[str, str]:
        self.asked.append(keys)
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.upper() for key in keys if key != "missing"}


async def test_what_is_there_is_found_and_nothing_else() -> None:
    shelf = Shelf()
    shelf.open.set()
    together = Together(shelf.look_up)
    assert await together.find("a") == "A"
    assert await together.find("missing") is None
    assert shelf.asked == [["a"], ["missing"]]


async def test_who_comes_during_a_look_up_waits_for_the_next_and_shares_it() -> None:
    shelf = Shelf()
    together = Together(shelf.look_up)
    tasks = [asyncio.create_task(together.find("a"))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(together.find(key)) for key in ("a", "b", "missing", "b")]
    await asyncio.sleep(0)
    assert shelf.asked == [["a"]]  # nobody is told what was so before they asked
    shelf.open.set()
    assert await asyncio.gather(*tasks) == ["A", "A", "B", None, "B"]
    assert shelf.asked == [["a"], ["a", "b", "missing"]]


async def test_a_look_up_that_fails_fails_for_all_who_share_it_and_for_nobody_else() -> None:
    shelf = Shelf()
    shelf.failure = OSError("away")
    shelf.open.set()
    together = Together(shelf.look_up)
    outcomes = await asyncio.gather(*map(together.find, "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
    shelf.failure = None
    assert await together.find("a") == "A"


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    shelf = Shelf()
    together = Together(shelf.look_up)
    gone, stays = (asyncio.create_task(together.find("a")) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    shelf.open.set()
    assert await stays == "A"
    assert gone.cancelled()
