import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from application.ports import (
    BadPlexToken,
    HasherBusy,
    NoAccessToServer,
    PlexUnavailable,
    PlexUser,
    UnknownPin,
)
from application.sign_in import MOST_NOTES, SignedIn, WrongCredentials
from domain.accounts import AccountIsSuspended, PasswordRehashed, Role
from domain.sessions import (
    GRACE,
    IDLE,
    RefreshTokenReused,
    SessionClosed,
    SessionEnd,
    SessionOver,
    SessionRefreshed,
    SignInUsed,
    UnknownSession,
)
from domain.sign_ins import INTERVAL, SignInFailed
from tests.people import AT_HOME, PASSWORD, People, context

ANN = "ann@example.org"
SYSTEM = "system:test"
MEMBER = PlexUser(7, "ann", ANN, owner=False)


async def enter(people: People, email: str = ANN, password: str = PASSWORD) -> SignedIn:
    return await people.sign_in.with_password(email, password, AT_HOME, context("anonymous"))


async def refresh(people: People, token: str) -> SignedIn:
    return await people.sign_in.refresh(token, AT_HOME, context("anonymous"))


# With a password


async def test_who_knows_the_password_gets_a_token_for_their_account(people: People) -> None:
    ann = await people.person(ANN, Role.ADMIN)
    signed_in = await enter(people, "ANN@example.org")
    bearer = people.tokens.read(signed_in.access.token)
    assert bearer is not None
    assert (bearer.account_id, bearer.session_id) == (ann.id, signed_in.session_id)
    assert signed_in.account.role is Role.ADMIN


@pytest.mark.parametrize(("email", "password"), [(ANN, "wrong"), ("bob@example.org", PASSWORD)])
async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(
    people: People, email: str, password: str
) -> None:
    await people.person(ANN)
    verified = people.hasher.verified
    with pytest.raises(WrongCredentials) as refusal:
        await enter(people, email, password)
    assert str(refusal.value) == "The e-mail address or the password is wrong."
    assert people.hasher.verified == verified + 1  # or its time would tell which it was


async def test_only_who_knows_the_password_learns_of_a_suspension(people: People) -> None:
    ann = await people.person(ANN)
    await people.accounts.suspend(ann.id, context(SYSTEM))
    with pytest.raises(WrongCredentials):
        await enter(people, password="wrong")
    with pytest.raises(AccountIsSuspended):
        await enter(people)


async def test_a_busy_hasher_is_told(people: People) -> None:
    await people.person(ANN)
    people.hasher.busy = True
    with pytest.raises(HasherBusy):
        await enter(people)


async def test_an_outdated_hash_is_made_anew_once(people: People) -> None:
    await people.person(ANN)
    people.hasher.stronger = True
    for _ in range(2):
        await enter(people)
    rehashed = [each for each in people.store.events if isinstance(each.event, PasswordRehashed)]
    assert len(rehashed) == 1


async def test_failed_sign_ins_are_told_at_most_once_a_minute(people: People) -> None:
    ann = await people.person(ANN)
    for ahead in (timedelta(), INTERVAL / 2, INTERVAL):
        people.clock.ahead = ahead
        with pytest.raises(WrongCredentials):
            await enter(people, password="wrong")
        await people.sign_in.aclose()  # which waits for what is still to be recorded
    failed = [each.event for each in people.store.events if isinstance(each.event, SignInFailed)]
    assert [event.account_id for event in failed] == [ann.id, ann.id]


async def test_of_an_attack_only_the_first_failures_wait_to_be_recorded(people: People) -> None:
    await people.person(ANN)
    people.personal_data.held = asyncio.Event()
    attempts = [enter_wrongly(people) for _ in range(MOST_NOTES + 10)]
    await asyncio.gather(*attempts)
    assert people.personal_data.waiting == MOST_NOTES
    people.personal_data.held.set()
    await people.sign_in.aclose()


async def enter_wrongly(people: People) -> None:
    with pytest.raises(WrongCredentials):
        await enter(people, password="wrong")


# Through Plex


async def test_the_first_sign_in_through_plex_opens_an_account(people: People) -> None:
    people.plex.members["token"] = PlexUser(7, "ann", ANN, owner=True)
    first, second = [
        await people.sign_in.with_plex("token", AT_HOME, context("anonymous")) for _ in range(2)
    ]
    assert first.account_id == second.account_id
    assert first.session_id != second.session_id
    profile = await people.accounts.profile(first.account_id)
    assert (profile.email, profile.name, profile.role) == (ANN, "ann", Role.USER)


async def test_two_first_sign_ins_at_once_open_one_account(people: People) -> None:
    people.plex.members["token"] = MEMBER
    both = await asyncio.gather(
        *(people.sign_in.with_plex("token", AT_HOME, context("anonymous")) for _ in range(2))
    )
    assert len({signed_in.account_id for signed_in in both}) == 1
    assert len({signed_in.session_id for signed_in in both}) == 2


@pytest.mark.parametrize("refusal", [BadPlexToken, NoAccessToServer, PlexUnavailable])
async def test_whom_plex_does_not_vouch_for_gets_nothing(
    people: People, refusal: type[Exception]
) -> None:
    people.plex.strangers.add("stranger")
    if refusal is PlexUnavailable:
        people.plex.failure = PlexUnavailable("Plex is away.")
    token = "stranger" if refusal is NoAccessToServer else "unknown"
    with pytest.raises(refusal):
        await people.sign_in.with_plex(token, AT_HOME, context("anonymous"))
    assert people.store.events == []


async def test_plex_being_away_signs_nobody_out(people: People) -> None:
    people.plex.members["token"] = MEMBER
    signed_in = await people.sign_in.with_plex("token", AT_HOME, context("anonymous"))
    people.plex.failure = PlexUnavailable("Plex is away.")
    assert await people.caller(signed_in.access.token)
    await refresh(people, signed_in.refresh_token)


async def test_a_pin_signs_in_once(people: People) -> None:
    pin = await people.sign_in.start_pin()
    assert await poll(people, pin.id, pin.code) is None
    people.plex.members["token"] = MEMBER
    people.plex.confirmed[pin.code] = "token"
    assert await poll(people, pin.id, pin.code) is not None
    with pytest.raises(SignInUsed):
        await poll(people, pin.id, pin.code)
    with pytest.raises(UnknownPin):
        await poll(people, pin.id, "another")


async def poll(people: People, pin_id: int, code: str) -> SignedIn | None:
    return await people.sign_in.with_pin(pin_id, code, AT_HOME, context("anonymous"))


# Refreshing


async def test_each_refresh_token_gives_the_next(people: People) -> None:
    ann = await people.person(ANN)
    tokens = [ann.signed_in.refresh_token]
    for _ in range(3):
        refreshed = await refresh(people, tokens[-1])
        assert refreshed.session_id == ann.signed_in.session_id
        tokens.append(refreshed.refresh_token)
    assert len(set(tokens)) == 4


async def test_of_two_who_use_a_token_at_once_one_wins_and_both_are_answered_alike(
    people: People,
) -> None:
    ann = await people.person(ANN)
    first, second = await asyncio.gather(
        *(refresh(people, ann.signed_in.refresh_token) for _ in range(2))
    )
    assert first.refresh_token == second.refresh_token
    refreshed = [each for each in people.store.events if isinstance(each.event, SessionRefreshed)]
    assert len(refreshed) == 1
    await refresh(people, first.refresh_token)


async def test_a_retry_within_the_grace_is_answered_as_the_first_time(people: People) -> None:
    ann = await people.person(ANN)
    first = await refresh(people, ann.signed_in.refresh_token)
    people.clock.ahead += GRACE - timedelta(seconds=1)
    again = await refresh(people, ann.signed_in.refresh_token)
    assert again.refresh_token == first.refresh_token
    assert await people.is_in(ann)


@pytest.mark.parametrize("why", ["too late", "its successor was used", "two before"])
async def test_a_token_that_is_used_again_closes_the_session_and_is_recorded(
    people: People, why: str
) -> None:
    ann = await people.person(ANN)
    successor = await refresh(people, ann.signed_in.refresh_token)
    if why == "too late":
        people.clock.ahead += GRACE + timedelta(seconds=1)
    else:
        successor = await refresh(people, successor.refresh_token)
    if why == "two before":
        successor = await refresh(people, successor.refresh_token)
    with pytest.raises(SessionOver):
        await refresh(people, ann.signed_in.refresh_token)
    reused, closed = [each.event for each in people.store.events[-2:]]
    assert isinstance(reused, RefreshTokenReused)
    assert closed == SessionClosed(ann.id, SessionEnd.REUSE)
    assert not await people.is_in(ann)
    with pytest.raises(SessionOver):
        await refresh(people, successor.refresh_token)


async def test_a_guess_closes_nothing(people: People) -> None:
    ann = await people.person(ANN)
    guess = people.refresh_tokens.make(ann.signed_in.session_id).token
    for wrong in (guess, "mnr_short", ann.token, people.refresh_tokens.make(uuid4()).token):
        with pytest.raises(SessionOver):
            await refresh(people, wrong)
    assert await people.is_in(ann)


@pytest.mark.parametrize("why", ["signed out", "everywhere", "suspended", "forgotten", "idle"])
async def test_a_session_that_is_over_is_not_refreshed(people: People, why: str) -> None:
    ann = await people.person(ANN)
    match why:
        case "signed out":
            await people.sign_in.sign_out(await people.caller(ann.token), context(SYSTEM))
        case "everywhere":
            await people.accounts.end_sessions(ann.id, context(SYSTEM))
        case "suspended":
            await people.accounts.suspend(ann.id, context(SYSTEM))
        case "forgotten":
            await people.accounts.forget(ann.id, context(SYSTEM))
        case _:
            people.clock.ahead = IDLE
    with pytest.raises(SessionOver):
        await refresh(people, ann.signed_in.refresh_token)


async def test_only_ones_own_sessions_can_be_closed(people: People) -> None:
    ann, bob = await people.person(ANN), await people.person("bob@example.org")
    for other in (bob.signed_in.session_id, bob.id, uuid4()):
        with pytest.raises(UnknownSession):
            await people.sign_in.close(ann.id, other, context(SYSTEM))
    assert await people.is_in(bob)
    await people.sign_in.close(ann.id, ann.signed_in.session_id, context(SYSTEM))
    assert not await people.is_in(ann)
