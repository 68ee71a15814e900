"""What the gate remembers of sessions and accounts, in a real Valkey."""

import asyncio
from datetime import timedelta
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.ports import Standing, Visit
from infrastructure.embedded import ServerUrls
from infrastructure.gate import RedisGate

HOUR = timedelta(hours=1)


class Known(NamedTuple):
    """A standing in the table below. An account may have spared the session, or another one."""

    open: bool = True
    epoch: int = 0
    spared: Literal["it", "another"] | None = None


def visit_of(session_id: UUID, account_id: UUID | None = None) -> Visit:
    return Visit("general", 100, HOUR, f"account:{uuid4()}", session_id, account_id)


@pytest.mark.parametrize(
    ("session", "account", "counted"),
    [
        (None, None, True),
        (Known(), None, True),
        (None, Known(), True),
        (Known(), Known(), True),
        (Known(open=False), None, False),
        (None, Known(open=False), False),
        (Known(open=False), Known(), False),
        (Known(), Known(open=False), False),
        (Known(epoch=3), Known(epoch=3), True),
        (Known(epoch=3), Known(epoch=4), False),
        (Known(epoch=4), Known(epoch=3), False),
        (Known(epoch=3), Known(epoch=4, spared="it"), True),
        (Known(epoch=3), Known(epoch=4, spared="another"), False),
        (Known(epoch=4), Known(epoch=4, spared="another"), True),
        (Known(open=False), Known(epoch=4, spared="it"), False),
        (Known(epoch=-1), Known(epoch=4), True),
        (Known(epoch=-1, open=False), Known(epoch=4), False),
    ],
)
async def test_a_call_counts_unless_its_session_is_known_not_to_stand(
    redis_url: str, session: Known | None, account: Known | None, counted: bool
) -> None:
    session_id, account_id = uuid4(), uuid4()
    spared = {"it": session_id, "another": uuid4()}
    known = {
        id_: Standing(id_, 1, of.open, of.epoch, b"\x00\xff", of.spared and spared[of.spared])
        for id_, of in ((session_id, session), (account_id, account))
        if of is not None
    }
    visit = visit_of(session_id, account_id)
    async with RedisGate(redis_url) as gate:
        await gate.remember(known.values())
        for remaining in (99, 98):
            passage = await gate.enter(visit)
            assert passage.session == known.get(session_id)
            assert passage.account == known.get(account_id)
            assert passage.remaining == (remaining if counted else None)
            assert passage.retry_after is None


async def test_a_call_without_a_session_counts(redis_url: str) -> None:
    async with RedisGate(redis_url) as gate:
        passage = await gate.enter(Visit("general", 100, HOUR, f"address:{uuid4()}"))
    assert (passage.session, passage.account, passage.remaining) == (None, None, 99)


VERSIONS = st.lists(st.sampled_from((1, 2, 9, 10, 11, 100, 2**53 - 1)), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(writes=st.lists(st.tuples(st.sampled_from((0, 1)), VERSIONS), min_size=1))
async def test_an_older_version_never_replaces_a_newer_one(
    servers: ServerUrls, writes: list[tuple[int, list[int]]]
) -> None:
    visit = visit_of(uuid4())
    assert visit.session_id
    async with RedisGate(servers.redis_url) as here, RedisGate(servers.redis_url) as there:
        gates = (here, there)
        highest = 0
        for gate, versions in writes:
            await gates[gate].remember(
                Standing(visit.session_id, version, True, 0, b"%d" % version)
                for version in versions
            )
            highest = max(highest, *versions)
            expected = Standing(visit.session_id, highest, True, 0, b"%d" % highest)
            assert (await there.enter(visit)).session == expected


async def test_the_same_version_may_be_remembered_anew(redis_url: str) -> None:
    async with RedisGate(redis_url) as gate:
        for value in (b"\x00\xff", b"later"):
            standing = Standing(uuid4(), 5, True, 0, value)
            await gate.remember([standing])
            assert (await gate.enter(visit_of(standing.id))).session == standing


async def test_more_standings_than_fit_into_one_call_are_all_remembered(redis_url: str) -> None:
    standings = [Standing(uuid4(), 1, True, 0, b"") for _ in range(300)]
    async with RedisGate(redis_url) as gate:
        await gate.remember(standings)
        passages = await asyncio.gather(*(gate.enter(visit_of(s.id)) for s in standings))
    assert [passage.session for passage in passages] == standings


async def test_a_standing_is_forgotten_after_its_lifetime(redis_url: str) -> None:
    standing = Standing(uuid4(), 1, True, 0, b"")
    async with RedisGate(redis_url, lifetime=timedelta(seconds=0.1)) as gate:
        await gate.remember([standing])
        assert (await gate.enter(visit_of(standing.id))).session == standing
        await asyncio.sleep(0.15)
        assert (await gate.enter(visit_of(standing.id))).session is None
