"""What the gate remembers is believed only while nothing can have changed since."""

import asyncio
from datetime import timedelta

import pytest

from application.admission import Credentials
from application.standings import Caller, Claim, Standings
from domain.accounts import Role
from domain.sessions import LIFETIME
from tests.people import People, Person, context

SYSTEM = "system:test"


@pytest.fixture
async def ann(people: People) -> Person:
    return await people.person("ann@example.org")


def claim_of(person: Person) -> Claim:
    return Claim(person.signed_in.session_id, person.id)


def another_process(people: People) -> Standings:
    """It shares the store and the gate, and began to hear just now."""
    standings = Standings(people.executor, people.gate, people.store, people.clock)
    standings.hear_from(people.store.head)
    return standings


async def asked(people: People, standings: Standings, person: Person) -> Caller | None:
    """The caller, as far as what the gate remembers is believed."""
    known = people.gate.standings
    return await standings.caller(
        claim_of(person), known.get(person.signed_in.session_id), known.get(person.id)
    )


async def hear_all(people: People, standings: Standings, after: int) -> None:
    for recorded in people.store.events:
        if recorded.position > after:
            standings.hear(recorded)


async def test_what_was_read_once_is_believed_without_reading_again(
    people: People, ann: Person
) -> None:
    standings = another_process(people)
    first = await asked(people, standings, ann)
    assert first is not None
    people.store.failure = ZeroDivisionError()
    assert await asked(people, standings, ann) == first


async def test_an_empty_gate_signs_nobody_out(people: People, ann: Person) -> None:
    standings = another_process(people)
    await asked(people, standings, ann)
    people.gate.standings.clear()
    assert await asked(people, standings, ann)


async def test_a_gate_that_has_gone_back_in_time_revives_nothing(
    people: People, ann: Person
) -> None:
    standings = another_process(people)
    await asked(people, standings, ann)
    snapshot, heard = dict(people.gate.standings), people.store.head
    await people.sign_in.close(ann.id, ann.signed_in.session_id, context(SYSTEM))
    people.gate.standings = snapshot  # restored from disk, older than the close
    await hear_all(people, standings, heard)
    assert await asked(people, standings, ann) is None


async def test_what_is_older_than_ones_hearing_is_read_anew(people: People, ann: Person) -> None:
    await asked(people, another_process(people), ann)
    snapshot = dict(people.gate.standings)
    await people.sign_in.close(ann.id, ann.signed_in.session_id, context(SYSTEM))
    people.gate.standings = snapshot
    assert await asked(people, another_process(people), ann) is None


async def test_what_this_process_has_changed_is_felt_before_it_is_heard(
    people: People, ann: Person
) -> None:
    await asked(people, people.standings, ann)
    people.gate.away = True  # and so could not be told
    await people.accounts.suspend(ann.id, context(SYSTEM))
    assert await asked(people, people.standings, ann) is None


async def test_of_changes_that_were_forgotten_nothing_older_is_believed(
    people: People, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.standings.REMEMBERED_CHANGES", 2)
    standings = another_process(people)
    await asked(people, standings, ann)
    snapshot, heard = dict(people.gate.standings), people.store.head
    await people.sign_in.close(ann.id, ann.signed_in.session_id, context(SYSTEM))
    for number in range(3):
        await people.person(f"{number}@example.org")
    people.gate.standings |= snapshot
    await hear_all(people, standings, heard)
    assert await asked(people, standings, ann) is None


@pytest.mark.parametrize("away", [False, True])
async def test_a_role_is_in_force_as_soon_as_it_is_heard(
    people: People, ann: Person, *, away: bool
) -> None:
    standings = another_process(people)
    await asked(people, standings, ann)
    heard = people.store.head
    people.gate.away = away
    await people.accounts.grant(ann.id, Role.ADMIN, context(SYSTEM))
    await hear_all(people, standings, heard)
    caller = await asked(people, standings, ann)
    assert caller is not None
    assert caller.role is Role.ADMIN


async def test_a_session_ends_by_itself(people: People, ann: Person) -> None:
    assert await asked(people, people.standings, ann)
    people.clock.ahead = LIFETIME
    assert await asked(people, people.standings, ann) is None


async def test_the_session_of_one_is_not_another_s(people: People, ann: Person) -> None:
    bob = await people.person("bob@example.org")
    stolen = Claim(ann.signed_in.session_id, bob.id)
    assert await people.standings.caller(stolen) is None
    assert await people.standings.caller(claim_of(bob))


async def test_who_watches_is_told_of_a_change_of_session_or_account(
    people: People, ann: Person
) -> None:
    caller = await people.caller(ann.token)
    for change in (
        people.accounts.grant(ann.id, Role.ADMIN, context(SYSTEM)),
        people.sign_in.close(ann.id, caller.session_id, context(SYSTEM)),
    ):
        with people.standings.watching(caller) as changed:
            assert not changed.is_set()
            await change
            async with asyncio.timeout(1):
                await changed.wait()
    assert await people.standings.still(caller) is None


async def test_an_api_key_outlives_the_sessions_of_its_owner_but_not_the_owner(
    people: People, ann: Person
) -> None:
    key = (await people.api_key(ann))["X-Api-Key"]
    await people.accounts.end_sessions(ann.id, context(SYSTEM))
    assert await people.admission.identify(Credentials(api_key=key))
    people.clock.ahead = timedelta(days=1)
    assert await people.admission.identify(Credentials(api_key=key)) is None
    people.clock.ahead = timedelta()
    await people.accounts.suspend(ann.id, context(SYSTEM))
    assert await people.admission.identify(Credentials(api_key=key)) is None
