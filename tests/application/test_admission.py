from datetime import timedelta

import pytest

from application.admission import Admitted, Credentials, TooOften
from domain.api_keys import Scope
from domain.rate_limits import Policy, RateLimitViolated
from tests.people import People, Person, context

SYSTEM = "system:test"
NOBODY = Credentials()
HERE = "127.0.0.1"


@pytest.fixture
async def ann(people: People) -> Person:
    return await people.person("ann@example.org")


async def admit(
    people: People,
    shown: Credentials = NOBODY,
    policy: Policy = Policy.GENERAL,
    address: str = HERE,
) -> Admitted:
    return await people.admission.admit(shown, policy, address, "click-1")


def by_token(person: Person) -> Credentials:
    return Credentials(access_token=person.token)


async def by_key(people: People, person: Person) -> Credentials:
    return Credentials(api_key=(await people.api_key(person, Scope.READ))["X-Api-Key"])


async def test_all_calls_of_an_account_count_together_wherever_they_come_from(
    people: People, ann: Person
) -> None:
    await people.limit(Policy.GENERAL, 3)
    again = await people.again(ann.id, ann.email)
    shown = (by_token(ann), by_token(again), await by_key(people, ann))
    left = [
        (await admit(people, each, address=f"10.0.0.{number}")).allowance.remaining
        for number, each in enumerate(shown)
    ]
    assert left == [2, 1, 0]
    with pytest.raises(TooOften):
        await admit(people, by_token(ann))
    await admit(people)  # who is not signed in counts by address


async def test_who_is_not_signed_in_counts_by_an_address_that_is_kept_nowhere(
    people: People,
) -> None:
    await people.limit(Policy.AUTH, 1)
    await admit(people, policy=Policy.AUTH)
    with pytest.raises(TooOften) as refusal:
        await admit(people, policy=Policy.AUTH)
    assert timedelta(minutes=59) < refusal.value.retry_after <= timedelta(hours=1)
    await admit(people, policy=Policy.AUTH, address="10.0.0.2")
    await admit(people)  # another policy counts for itself
    assert HERE not in str(people.gate.calls)


async def test_a_refusal_is_recorded_with_what_led_to_it(people: People, ann: Person) -> None:
    await people.limit(Policy.GENERAL, 0)
    with pytest.raises(TooOften):
        await admit(people, by_token(ann))
    await people.recorded()
    last = people.store.events[-1]
    assert last.metadata.correlation_id == "click-1"
    assert isinstance(last.event, RateLimitViolated)
    assert (last.event.policy, last.event.subject) == (Policy.GENERAL, f"account:{ann.id}")


@pytest.mark.parametrize("shown", ["token", "key"])
async def test_what_stands_says_who_calls_and_notes_the_use(
    people: People, ann: Person, shown: str
) -> None:
    credentials = by_token(ann) if shown == "token" else await by_key(people, ann)
    caller = (await admit(people, credentials)).caller
    assert caller is not None
    assert caller.account_id == ann.id
    assert caller.scopes == (None if shown == "token" else {Scope.READ})
    assert caller.session_id in people.last_uses.uses


async def test_what_does_not_stand_is_nobody_and_notes_no_use(people: People, ann: Person) -> None:
    key_of_nobody = people.api_key_tokens.make(ann.id).token
    session = people.refresh_tokens.make(ann.signed_in.session_id).token
    await people.sign_in.close(ann.id, ann.signed_in.session_id, context(SYSTEM))
    for shown in (
        NOBODY,
        by_token(ann),
        Credentials(access_token=ann.token[:-2]),
        Credentials(api_key=key_of_nobody),
        Credentials(api_key=session),
        Credentials(api_key=""),
    ):
        assert (await admit(people, shown)).caller is None
    assert people.last_uses.uses == {}


async def test_a_key_that_is_remembered_still_has_to_stand(people: People, ann: Person) -> None:
    shown = await by_key(people, ann)
    caller = (await admit(people, shown)).caller
    assert caller is not None
    await people.api_keys.revoke(ann.id, caller.session_id, context(SYSTEM))
    assert (await admit(people, shown)).caller is None


async def test_with_nobody_to_count_calls_are_let_in_and_known_all_the_same(
    people: People, ann: Person
) -> None:
    people.gate.away = True
    admitted = await admit(people, by_token(ann))
    assert admitted.caller is not None
    assert admitted.allowance.remaining is None
