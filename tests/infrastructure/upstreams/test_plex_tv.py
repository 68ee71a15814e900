"""PlexTvAccounts against the stand-ins of plex.tv and of a Plex server, over HTTP."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from application.ports import (
    BadPlexToken,
    NoAccessToServer,
    PlexUnavailable,
    PlexUser,
    PortError,
    UnknownPin,
)
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.plex_tv import PEOPLE, REFUSED_TOKENS
from infrastructure.stand_ins.running import StandIns
from infrastructure.stand_ins.stand_in import StandIn
from infrastructure.upstreams.plex_tv import LIFETIME, PLEX_TV_URL, PlexTvAccounts, auth_url

CLIENT = "2d1f0a5e-9a4b-4f6e-8a54-0d6d3b9b1c11"
OWNER, FRIEND, STRANGER, CHILD = (person.token for person in PEOPLE)
RESOURCES = "/api/v2/resources"


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def accounts(stand_ins: StandIns, clock: Clock) -> AsyncIterator[PlexTvAccounts]:
    accounts = PlexTvAccounts(stand_ins.plex_tv.url, stand_ins.plex.url, CLIENT, clock=clock)
    yield accounts
    await accounts.aclose()


@pytest.fixture
async def impatient(stand_ins: StandIns) -> AsyncIterator[PlexTvAccounts]:
    """For faults that keep it waiting; on a busy machine it might give up on any other, too."""
    accounts = PlexTvAccounts(stand_ins.plex_tv.url, stand_ins.plex.url, CLIENT, timeout=0.2)
    yield accounts
    await accounts.aclose()


# PINs


async def test_a_pin_has_a_long_code_and_half_an_hour(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    pin = await accounts.start_pin()

    (call,) = await stand_ins.plex_tv.calls()
    assert (pin.id, len(pin.code), pin.expires_in) == (1, 25, timedelta(minutes=30))
    assert call.headers["x-plex-client-identifier"] == CLIENT
    assert call.headers["x-plex-product"] == "MediaNest"
    assert call.headers["accept"] == "application/json"


async def test_a_pin_is_confirmed_where_its_url_leads(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    pin = await accounts.start_pin()

    url = urlsplit(pin.auth_url)
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{stand_ins.plex_tv.url}/auth"
    assert parse_qs(url.fragment.removeprefix("?")) == {
        "clientID": [CLIENT],
        "code": [pin.code],
        "context[device][product]": ["MediaNest"],
    }


def test_at_plex_tv_people_sign_in_on_another_host() -> None:
    assert auth_url(PLEX_TV_URL, "a/b", "Media Nest", "c&d") == (
        "https://app.plex.tv/auth#?clientID=a%2Fb&code=c%26d"
        "&context%5Bdevice%5D%5Bproduct%5D=Media%20Nest"
    )


async def test_at_plex_tv_resources_are_on_another_host(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()

    async def note_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.add((await reader.readline()).decode().split()[1])
        writer.close()

    proxy = await asyncio.start_server(note_host, "127.0.0.1", 0)
    monkeypatch.setenv(
        "https_proxy", "http://127.0.0.1:{}".format(*proxy.sockets[0].getsockname()[1:])
    )
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    accounts = PlexTvAccounts(PLEX_TV_URL, stand_ins.plex.url, CLIENT)

    with pytest.raises(PlexUnavailable, match=r"^plex\.tv cannot be reached"):
        await accounts.member(OWNER)
    async with asyncio.timeout(5):
        while len(asked) < 2:
            await asyncio.sleep(0.01)
    await accounts.aclose()
    proxy.close()

    assert asked == {"plex.tv:443", "clients.plex.tv:443"}


async def test_a_pin_gives_its_token_once_it_is_confirmed(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    pin = await accounts.start_pin()
    assert await accounts.claim_pin(pin.id, pin.code) is None

    token = stand_ins.plex_tv.confirm(pin.code, "friend")

    assert await accounts.claim_pin(pin.id, pin.code) == token
    assert await accounts.claim_pin(pin.id, pin.code) == token, "for the answer may be lost"
    assert (await accounts.member(token)).username == "friend"


@pytest.mark.parametrize("code", ["", "guess", "gu\N{LATIN SMALL LETTER E WITH ACUTE}ss"])
async def test_who_guesses_the_id_of_a_pin_does_not_get_its_token(
    stand_ins: StandIns, accounts: PlexTvAccounts, code: str
) -> None:
    pin = await accounts.start_pin()
    other = await accounts.start_pin()
    stand_ins.plex_tv.confirm(pin.code, "owner")

    for wrong in (code, other.code, pin.code.upper()):
        with pytest.raises(UnknownPin):
            await accounts.claim_pin(pin.id, wrong)


async def test_a_pin_that_has_expired_is_unknown(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    pin = await accounts.start_pin()
    stand_ins.plex_tv.expire(pin.code)

    with pytest.raises(UnknownPin):
        await accounts.claim_pin(pin.id, pin.code)


async def test_a_pin_of_another_installation_is_unknown(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    other = PlexTvAccounts(stand_ins.plex_tv.url, stand_ins.plex.url, "another client")
    pin = await other.start_pin()
    await other.aclose()

    with pytest.raises(UnknownPin):
        await accounts.claim_pin(pin.id, pin.code)


@pytest.mark.parametrize("body", [{"message": "No such page."}, {"errors": []}, []])
async def test_a_404_that_is_not_plex_tvs_does_not_make_a_pin_unknown(
    stand_ins: StandIns, accounts: PlexTvAccounts, body: Any
) -> None:
    await stand_ins.plex_tv.fail(Status(status=404, body=body))

    with pytest.raises(PlexUnavailable):
        await accounts.claim_pin(1, "code")


# Members


@pytest.mark.parametrize(
    ("token", "user"),
    [
        (OWNER, PlexUser(1, "owner", "owner@plex.test", owner=True)),
        (FRIEND, PlexUser(2, "friend", "friend@plex.test", owner=False)),
        (CHILD, PlexUser(4, "child", None, owner=False)),
    ],
)
async def test_who_has_access_to_the_server_is_a_member(
    accounts: PlexTvAccounts, token: str, user: PlexUser
) -> None:
    assert await accounts.member(token) == user


async def test_who_has_no_user_name_is_called_by_their_title(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    body = {"id": 7, "username": None, "title": "Kim", "email": ""}
    await stand_ins.plex_tv.fail(Status(status=200, body=body, path="/api/v2/user"))

    assert await accounts.member(FRIEND) == PlexUser(7, "Kim", None, owner=False)


async def test_who_has_another_server_only_has_no_access(accounts: PlexTvAccounts) -> None:
    with pytest.raises(NoAccessToServer):
        await accounts.member(STRANGER)


@pytest.mark.parametrize("provides", ["client,player", "", "media-server", None])
async def test_only_a_server_gives_access(
    stand_ins: StandIns, accounts: PlexTvAccounts, provides: str | None
) -> None:
    player = {
        "clientIdentifier": stand_ins.plex.machine_identifier, "provides": provides, "owned": True,
    }  # fmt: skip
    await stand_ins.plex_tv.fail(Status(status=200, body=[player], path=RESOURCES))

    with pytest.raises(NoAccessToServer):
        await accounts.member(OWNER)


async def test_a_server_may_be_more_than_a_server(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    server = {"clientIdentifier": stand_ins.plex.machine_identifier, "provides": "client,server"}
    await stand_ins.plex_tv.fail(Status(status=200, body=[server], path=RESOURCES))

    assert not (await accounts.member(OWNER)).owner


@pytest.mark.parametrize("token", ["unheard-of", *REFUSED_TOKENS])
async def test_a_token_that_plex_tv_refuses_is_bad(accounts: PlexTvAccounts, token: str) -> None:
    with pytest.raises(BadPlexToken):
        await accounts.member(token)


async def test_a_token_of_somebody_who_signed_out_is_bad(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    await accounts.member(FRIEND)
    await stand_ins.plex_tv.fail(Status(status=401, path=RESOURCES))

    with pytest.raises(BadPlexToken):
        await accounts.member(FRIEND)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\r\nX-Evil: 1", "\N{SNOWMAN}", "x" * 4097])
async def test_what_is_no_token_is_bad_without_asking(
    stand_ins: StandIns, accounts: PlexTvAccounts, token: str
) -> None:
    with pytest.raises(BadPlexToken):
        await accounts.member(token)

    assert await stand_ins.plex_tv.calls() == []


async def test_who_somebody_is_and_what_they_have_is_asked_at_the_same_time(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    await stand_ins.plex_tv.fail(Slow(delay=0.1))

    await accounts.member(FRIEND)

    first, second = await stand_ins.plex_tv.calls()
    assert first.answered_at is not None
    assert second.at < first.answered_at


# The server


async def test_the_server_is_asked_who_it_is_once_in_a_while(
    stand_ins: StandIns, accounts: PlexTvAccounts, clock: Clock
) -> None:
    await accounts.member(OWNER)
    clock.now = LIFETIME.total_seconds() - 1
    await accounts.member(FRIEND)
    assert len(await stand_ins.plex.calls()) == 1

    clock.now = LIFETIME.total_seconds()
    await accounts.member(OWNER)
    assert len(await stand_ins.plex.calls()) == 2


async def test_a_reinstalled_server_is_known_at_once(
    stand_ins: StandIns, accounts: PlexTvAccounts
) -> None:
    await accounts.member(FRIEND)
    stand_ins.plex.reinstall()

    assert (await accounts.member(FRIEND)).username == "friend"
    with pytest.raises(NoAccessToServer):
        await accounts.member(STRANGER)


async def test_a_server_that_is_away_keeps_no_member_out(
    stand_ins: StandIns, accounts: PlexTvAccounts, clock: Clock
) -> None:
    await accounts.member(OWNER)
    clock.now = LIFETIME.total_seconds() * 3
    await stand_ins.plex.fail(Refuse())

    assert (await accounts.member(FRIEND)).username == "friend"
    with pytest.raises(PlexUnavailable, match=r"^The Plex server cannot be reached\.$"):
        await accounts.member(STRANGER)


async def test_without_a_server_nobody_is_sent_to_plex(stand_ins: StandIns) -> None:
    accounts = PlexTvAccounts(stand_ins.plex_tv.url, None, CLIENT)

    for call in (accounts.start_pin(), accounts.member(OWNER)):
        with pytest.raises(PlexUnavailable, match=r"^No Plex server is configured\.$"):
            await call
    await accounts.aclose()

    assert await stand_ins.plex_tv.calls() == []


# Failures


class Step(msgspec.Struct, frozen=True):
    """One call to Plex, and what it is made for."""

    path: str
    use: Callable[[PlexTvAccounts], Awaitable[object]]
    service: str = "plex.tv"
    shows_token: bool = False

    def stand_in(self, stand_ins: StandIns) -> StandIn:
        return stand_ins.plex_tv if self.service == "plex.tv" else stand_ins.plex


STEPS = [
    Step("/api/v2/pins", lambda accounts: accounts.start_pin()),
    Step("/api/v2/pins/", lambda accounts: accounts.claim_pin(1, "code")),
    Step("/api/v2/user", lambda accounts: accounts.member(FRIEND), shows_token=True),
    Step(RESOURCES, lambda accounts: accounts.member(FRIEND), shows_token=True),
    Step("/identity", lambda accounts: accounts.member(FRIEND), "The Plex server"),
]
each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.path)


def at(step: Step, fault: Fault) -> Fault:
    return fault if isinstance(fault, Refuse) else msgspec.structs.replace(fault, path=step.path)


@each_step
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Status(status=429), "asks us to slow down"),
        (Status(status=500), "has a problem of its own"),
        (Status(status=502), "has a problem of its own"),
        (Status(status=503), "has a problem of its own"),
        (Status(status=400), "refuses to answer"),
        (Status(status=403), "refuses to answer"),
        (Status(status=302, headers={"Location": "/login"}), "refuses to answer"),
        (Status(status=200, body={"id": 1}), "gave an answer that makes no sense"),
        (Status(status=200, body=[{"id": "1"}]), "gave an answer that makes no sense"),
        (Garbage(), "gave an answer that makes no sense"),
        (Garbage(html=True), "gave an answer that makes no sense"),
        (Refuse(), "cannot be reached"),
        (Drop(), "cannot be reached"),
    ],
)
async def test_an_outage_says_nothing_about_anybodys_token_or_pin(
    stand_ins: StandIns, accounts: PlexTvAccounts, step: Step, fault: Fault, sentence: str
) -> None:
    await step.stand_in(stand_ins).fail(at(step, fault))

    with pytest.raises(PlexUnavailable) as raised:
        await step.use(accounts)

    assert str(raised.value) == f"{step.service} {sentence}."
    assert raised.value.retry_after is None


@each_step
@pytest.mark.parametrize("status", [401, 422, 498])
async def test_a_token_is_refused_only_where_one_was_shown(
    stand_ins: StandIns, accounts: PlexTvAccounts, step: Step, status: int
) -> None:
    await step.stand_in(stand_ins).fail(at(step, Status(status=status)))

    with pytest.raises(BadPlexToken if step.shows_token else PlexUnavailable):
        await step.use(accounts)


@each_step
@pytest.mark.parametrize("fault", [Hang(), Slow(delay=1)])
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    stand_ins: StandIns, impatient: PlexTvAccounts, step: Step, fault: Fault
) -> None:
    await step.stand_in(stand_ins).fail(at(step, fault))

    with pytest.raises(PlexUnavailable, match=rf"^{step.service} did not answer in time\.$"):
        await step.use(impatient)


@each_step
async def test_throttling_says_how_long(
    stand_ins: StandIns, accounts: PlexTvAccounts, step: Step
) -> None:
    throttled = Status(status=429, headers={"Retry-After": "11"})
    await step.stand_in(stand_ins).fail(at(step, throttled))

    with pytest.raises(PlexUnavailable) as raised:
        await step.use(accounts)

    assert raised.value.retry_after == timedelta(seconds=11)


@pytest.mark.parametrize(
    "fault",
    [Status(status=401), Status(status=500), Garbage(), Drop(), Hang(), Refuse()],
)
async def test_a_token_is_in_no_url_no_log_and_no_error(
    stand_ins: StandIns,
    impatient: PlexTvAccounts,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
) -> None:
    with caplog.at_level(logging.DEBUG):
        await stand_ins.plex_tv.fail(fault)
        with pytest.raises(PortError) as raised:
            await impatient.member(FRIEND)

    for call in await stand_ins.plex_tv.calls():
        assert (call.query, call.headers["x-plex-token"]) == ({}, "***")
    assert "/identity" in caplog.text, "httpx logs its calls"
    trace = "".join(traceback.format_exception(raised.value))
    assert FRIEND not in f"{caplog.text} {capsys.readouterr()} {trace}"
