"""schemathesis over the whole OpenAPI document, as everybody who may come, with all checks on."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from schemathesis import Response

from domain.accounts import Role
from tests.contract.examination import CHECKS, WEBSOCKET, Verdict, examine, known_checks
from tests.contract.people import ERROR, Person, Session, found_town
from tests.contract.plausible import (
    MEDIA,
    Case,
    Plausible,
    Sensible,
    is_right_in_form,
    is_success,
    session_of,
)
from tests.running import Running, empty_medianest

# Thousands of calls, each checked: minutes, on a machine that is busy.
pytestmark = pytest.mark.timeout(600)

Document = dict[str, Any]

SET_UP = "POST /api/v1/auth/setup"
METHODS = frozenset({"get", "put", "post", "patch", "delete"})
ALL_FORMS: dict[str, Any] = {"generation": {"mode": "all", "max-examples": 10}}
RIGHT_FORMS: dict[str, Any] = {"generation": {"mode": "positive", "max-examples": 5}}
"""Who may do less than admins is not told more of what is wrong in form; so once is enough."""
STEP_BY_STEP: dict[str, Any] = {
    "generation": {"mode": "positive", "max-examples": 10},
    "phases": {"coverage": {"enabled": False}, "fuzzing": {"enabled": False}},
}
"""Each step is about what the last one has answered."""
TOO_OFTEN: dict[str, Any] = {
    "generation": {"mode": "positive", "max-examples": 1},
    # A call too many is refused before anybody asks whose it is.
    "checks": {"ignored_auth": {"enabled": False}},
}
LIMITS = {
    f"MEDIANEST_LIMIT_{policy}": "5/hour" for policy in ("GENERAL", "AUTH", "DOWNLOAD", "ADMIN")
}
"""Used up before the turn of what would sign the examiner out."""

_films = count(6_000_000)
"""That nobody has asked for."""


class Caller(msgspec.Struct, frozen=True):
    """A way to come in.

    ``show`` makes of a session what is shown of it, ``arrive`` what is shown at first, and ``may``
    tells from an operation in the document whether they get in.
    """

    role: Role
    show: Callable[[Session], dict[str, str]]
    arrive: Callable[[Person], dict[str, str]]
    may: Callable[[dict[str, Any]], bool]
    settings: dict[str, Any]


CALLERS = {
    "admin": Caller(
        role=Role.ADMIN,
        show=lambda session: session.bearer,
        arrive=lambda person: person.session.bearer,
        may=lambda _: True,
        settings=ALL_FORMS,
    ),
    "user": Caller(
        role=Role.USER,
        show=lambda session: session.bearer,
        arrive=lambda person: person.session.bearer,
        may=lambda operation: "admin" not in operation["tags"],
        settings=RIGHT_FORMS,
    ),
    "cookie": Caller(
        role=Role.USER,
        show=lambda session: session.cookie,
        arrive=lambda person: person.session.cookie,
        may=lambda operation: "admin" not in operation["tags"],
        settings=RIGHT_FORMS,
    ),
    "API key": Caller(
        role=Role.ADMIN,
        show=lambda _: {},
        arrive=lambda person: person.api_key("read", "write", "admin"),
        may=lambda operation: (
            "security" not in operation or any("apiKey" in way for way in operation["security"])
        ),
        settings=RIGHT_FORMS,
    ),
    "nobody": Caller(
        role=Role.USER,
        show=lambda _: {},
        arrive=lambda _: {},
        may=lambda operation: "security" not in operation,
        settings=RIGHT_FORMS,
    ),
}


@contextmanager
def client(running: Running) -> Generator[httpx.Client]:
    url = f"{running.url}/api/v1"
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as opened:
        yield opened


def document(http: httpx.Client, only: str = "") -> Document:
    """The document, or the part of it that is about paths that begin so."""
    whole: Document = http.get("/schema/openapi.json").json()
    paths = {path: item for path, item in whole["paths"].items() if path.startswith(only)}
    return whole | {"paths": paths}


def operations(document: Document, *, that: Callable[[dict[str, Any]], bool]) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in METHODS & item.keys()
        if that(item[method])
    }


@pytest.mark.parametrize("who", CALLERS)
async def test_every_answer_is_one_that_the_document_promises(
    running: Running, tmp_path: Path, who: str
) -> None:
    caller = CALLERS[who]
    with client(running) as http, httpx.Client(base_url=running.stand_ins["plexTv"]) as plex_tv:
        town = await found_town(running, http, caller.role)
        town.examiner.be_told(town.admin, next(_films))
        town.examiner.request_film(next(_films))
        shown = caller.arrive(town.examiner)
        people = {"examiner": shown} if shown else {}
        told = document(http)
        with Plausible(town, http, plex_tv, caller.show, shown).registered():
            verdict = await asyncio.to_thread(
                examine, told, running.url, people, tmp_path, caller.settings
            )
        errors = town.admin.errors()
    assert_faultless(verdict)
    assert verdict.checked == CHECKS == known_checks()
    assert verdict.answers.keys() == operations(told, that=lambda _: True)
    assert verdict.reached() == operations(told, that=caller.may) - {SET_UP, WEBSOCKET}
    assert verdict.answers[WEBSOCKET].keys() == {426}
    assert errors == {ERROR.fingerprint}


async def test_what_is_somebodys_is_not_shown_to_others_who_know_its_id(
    running: Running, tmp_path: Path
) -> None:
    with client(running) as http:
        town = await found_town(running, http, Role.USER)
        people = {"examiner": town.examiner.session.bearer, "peer": town.other.session.bearer}
        with Sensible().registered():
            verdict = await asyncio.to_thread(
                examine, document(http, MEDIA), running.url, people, tmp_path, STEP_BY_STEP
            )
    assert_faultless(verdict)
    assert verdict.peers.keys() == {403}


async def test_the_first_admin_is_made_and_whoever_calls_too_often_is_told_when_to_come_back(
    tmp_path: Path,
) -> None:
    async with empty_medianest(tmp_path / "data", environment=LIMITS) as (running, _):
        assert running.setup_token is not None
        with client(running) as http:
            first = FirstAdmin(running.setup_token)
            with first.registered():
                made = await asyncio.to_thread(
                    examine,
                    document(http, "/api/v1/auth/setup"),
                    running.url,
                    {},
                    tmp_path,
                    RIGHT_FORMS,
                )
            assert first.session is not None
            told = document(http)
            use_up(http, first.session.bearer)  # before it signs itself out
            with Sensible().registered():
                limited = await asyncio.to_thread(
                    examine,
                    told,
                    running.url,
                    {"examiner": first.session.bearer},
                    tmp_path,
                    TOO_OFTEN,
                )
    assert_faultless(made)
    assert made.reached() == {SET_UP}
    assert_faultless(limited)
    counted = operations(told, that=lambda operation: "429" in operation["responses"])
    refused = {operation for operation, statuses in limited.answers.items() if 429 in statuses}
    assert refused == counted


def use_up(http: httpx.Client, shown: dict[str, str]) -> None:
    """Call until each policy has had enough; what was refused for its form counts, too."""
    for method, path in (
        ("GET", "/auth/me"),
        ("GET", "/admin/alerts"),
        ("POST", "/media/request"),
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
    ):
        while http.request(method, path, headers=shown).status_code != 429:
            pass


class FirstAdmin(Sensible):
    """Has the token that makes the first admin, and keeps the session that this opens."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.session: Session | None = None

    def prepare(self, case: Case) -> None:
        """See Sensible."""
        super().prepare(case)
        if is_right_in_form(case) and self.session is None:
            case.body["token"] = self._token

    def learn(self, case: Case, response: Response) -> None:
        """See Sensible."""
        super().learn(case, response)
        if is_success(response) and self.session is None:
            self.session = session_of(response)


def assert_faultless(verdict: Verdict) -> None:
    told = "\n\n".join(f"{where}\n{what}" for where, what in verdict.faults.items())
    assert not verdict.faults, told
    assert verdict.ended == "completed"
