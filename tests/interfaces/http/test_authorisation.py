"""The whole table of permissions over HTTP: every route, every kind of caller, own and others'.

The routes are those of the application, so one that names no action or has no sample is noticed.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, cast

import httpx
import pytest
from litestar.routes import HTTPRoute

from domain.accounts import Role
from domain.api_keys import Scope
from domain.kernel import Event, Recorded
from domain.permissions import PERMISSIONS, Action, Rule, Whose
from interfaces.http.entrance import SAFE_METHODS, csrf_token
from interfaces.realtime.messages import ACTIONS
from tests.interfaces.callers import KINDS, Headers, Kind, Verdict, cookies
from tests.interfaces.house import House, Person
from tests.interfaces.problems import problem
from tests.interfaces.samples import SAMPLES, Ask

REFUSED = {Verdict.UNAUTHENTICATED: 401, Verdict.FORBIDDEN: 403}
SAID_OF_A_REFUSAL = {"type", "title", "status", "detail", "correlationId"}


def routes_of(house: House) -> Iterator[tuple[str, Action | None]]:
    """Every route of the application by its method and path, with its action.

    But for OPTIONS, which Litestar answers by itself.
    """
    for route in cast("Any", house.app)._http.routes:
        assert isinstance(route, HTTPRoute), f"{route.path} speaks no HTTP."
        for handler in route.route_handlers:
            for method in handler.http_methods - {"OPTIONS"}:
                yield f"{method} {route.path}", handler.opt.get("action")


ROUTES = dict(sorted(routes_of(House())))
CHANGES = [
    route
    for route, action in ROUTES.items()
    if route.partition(" ")[0] not in SAFE_METHODS and not (action and PERMISSIONS[action].anyone)
]
"""The routes that change something for who has an account."""


def rule_of(route: str) -> Rule:
    action = ROUTES[route]
    assert action is not None
    return PERMISSIONS[action]


# Nothing is left out


def test_every_route_names_its_action_and_is_walked() -> None:
    assert [route for route, action in ROUTES.items() if action not in PERMISSIONS] == []
    assert ROUTES.keys() == SAMPLES.keys()


def test_every_row_of_the_table_has_a_route_or_a_live_topic() -> None:
    assert {*ROUTES.values(), *ACTIONS.values()} == PERMISSIONS.keys()


@pytest.mark.parametrize("route", ROUTES)
def test_what_a_path_names_is_tried_as_ones_own_and_as_another_s(route: str) -> None:
    rule = rule_of(route)
    if "{" in route and not {rule.user, rule.admin} <= {Whose.NOBODYS, Whose.ALL}:
        assert SAMPLES[route].matter


# The walk


@pytest.mark.parametrize("route", ROUTES)
async def test_each_caller_may_do_what_the_table_says_and_nothing_else(
    house: House, route: str
) -> None:
    numbers = count()
    for kind in KINDS:
        for whose in tried(route):
            await walk(house, route, kind, whose, f"{next(numbers)}")


def tried(route: str) -> tuple[Whose, ...]:
    """Whose things are to be asked for."""
    if rule_of(route).anyone:
        return (Whose.OTHERS,)
    return (Whose.OWN, Whose.OTHERS) if SAMPLES[route].matter else (Whose.OWN,)


async def walk(house: House, route: str, kind: Kind, whose: Whose, name: str) -> None:
    """Let one of the kind ask for what is whose."""
    person = await kind.person(house, f"{name}@example.org")
    owner = person
    if whose is Whose.OTHERS:
        owner = await house.person(f"owner-{name}@example.org")
    ask = await SAMPLES[route].of(house, route, owner)
    headers = await kind.show(house, person)
    before = list(house.store.events)
    answer = await ask.by(house, headers)
    try:
        check(house, route, kind, whose, answer, before)
        if ask.method == "GET":
            head = await Ask("HEAD", ask.path).by(house, headers)
            assert (head.status_code, head.content) == (answer.status_code, b"")
    except AssertionError as wrong:
        wrong.add_note(f"{route}, {whose!r}, {kind.name}")
        raise


def check(
    house: House,
    route: str,
    kind: Kind,
    whose: Whose,
    answer: httpx.Response,
    before: list[Recorded[Event]],
) -> None:
    """Compare the answer with what the table says, and see that no refusal has changed a thing."""
    sample, action = SAMPLES[route], ROUTES[route]
    assert action is not None
    verdict = kind.verdict(action, whose)
    if verdict is Verdict.ALLOWED:
        check_allowed(answer, sample.answer)
        return
    if sample.unknown and kind.verdict(action, Whose.OWN) is Verdict.ALLOWED:
        problem(answer, 404, sample.unknown)
    else:
        check_refused(answer, verdict)
    assert house.store.events == before


def check_allowed(answer: httpx.Response, expected: int | str) -> None:
    if isinstance(expected, int):
        assert answer.status_code == expected, answer.text
    else:
        problem(answer, answer.status_code, expected)


def check_refused(answer: httpx.Response, verdict: Verdict) -> None:
    body = problem(answer, REFUSED[verdict], verdict)
    assert body.keys() == SAID_OF_A_REFUSAL
    assert ("www-authenticate" in answer.headers) is (verdict is Verdict.UNAUTHENTICATED)


@pytest.mark.parametrize("path", sorted({route.partition(" ")[2] for route in ROUTES}))
async def test_anybody_may_ask_for_the_methods_and_learns_nothing_else(
    house: House, path: str
) -> None:
    route = next(route for route in ROUTES if route.endswith(f" {path}"))
    ask = await SAMPLES[route].of(house, route, await house.person("owner@example.org"))
    before = list(house.store.events)
    answer = await Ask("OPTIONS", ask.path).by(house, {})
    assert (answer.status_code, answer.content) == (204, b"")
    assert house.store.events == before
    assert house.errors.noted == []


# Changes that a browser sends


@pytest.fixture
async def browser(house: House) -> Person:
    """An admin, who may do all there is, in a browser."""
    return await house.person("browser@example.org", Role.ADMIN)


async def to(house: House, route: str, caller: Person) -> Ask:
    """A right request of the caller, to a thing of another's where one may have none."""
    owner = caller
    if Whose.OWN not in rule_of(route).admin:
        owner = await house.person(f"owner-{caller.email}")
    return await SAMPLES[route].of(house, route, owner)


async def without_right(house: House, browser: Person, bob: Person) -> dict[str, Headers]:
    """What another site, or somebody else's page, can make a browser send."""
    right = cookies(house, browser.signed_in)
    cookie, token = right["Cookie"], right["X-Csrf-Token"]
    own_other = await house.again(browser.id, browser.email)
    return {
        "no token": {"Cookie": cookie},
        "an empty token": right | {"X-Csrf-Token": ""},
        "a guess": right | {"X-Csrf-Token": "guess"},
        "the token of another session": right
        | {"X-Csrf-Token": csrf_token(house.pseudonym, own_other.signed_in.session_id)},
        "the token of another person": right
        | {"X-Csrf-Token": csrf_token(house.pseudonym, bob.signed_in.session_id)},
        "the session itself": right | {"X-Csrf-Token": str(browser.signed_in.session_id)},
        "a cookie of its own": {
            "Cookie": f"{cookie}; medianest_csrf=guess",
            "X-Csrf-Token": "guess",
        },
        "the cookie and no header": {"Cookie": f"{cookie}; medianest_csrf={token}"},
        "another site": right | {"Sec-Fetch-Site": "cross-site"},
    }


@pytest.mark.parametrize("route", CHANGES)
async def test_a_change_with_a_cookie_needs_the_token_of_its_session(
    house: House, browser: Person, bob: Person, route: str
) -> None:
    attempts = await without_right(house, browser, bob)
    ask = await to(house, route, browser)
    before = list(house.store.events)
    for name, headers in attempts.items():
        problem(await ask.by(house, headers), 403, "csrf-token-missing")
        assert house.store.events == before, name
    right = cookies(house, browser.signed_in) | {"Sec-Fetch-Site": "same-origin"}
    check_allowed(await ask.by(house, right), SAMPLES[route].answer)


async def test_a_refresh_with_a_cookie_needs_the_token_of_its_session(
    house: House, browser: Person, bob: Person
) -> None:
    cookie = f"medianest_refresh={browser.signed_in.refresh_token}"
    ask = Ask("POST", "/api/v1/auth/refresh", {})
    attempts = await without_right(house, browser, bob)
    before = list(house.store.events)
    for headers in attempts.values():
        tried = headers | {"Cookie": f"{headers['Cookie']}; {cookie}"}
        problem(await ask.by(house, tried), 403, "csrf-token-missing")
    assert house.store.events == before
    right = cookies(house, browser.signed_in) | {"Cookie": cookie}
    assert (await ask.by(house, right)).status_code == 200


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("route", CHANGES)
async def test_a_change_with_a_token_or_a_key_may_come_from_anywhere(
    house: House, admin: Person, route: str, *, by_key: bool
) -> None:
    ask = await to(house, route, admin)
    headers = await house.api_key(admin, *Scope) if by_key else admin.headers
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.test"}
    answer = await ask.by(house, headers | elsewhere)
    if by_key and rule_of(route).scope is None:
        check_refused(answer, Verdict.FORBIDDEN)
    else:
        check_allowed(answer, SAMPLES[route].answer)


@pytest.mark.parametrize(
    "shown",
    [
        {"Authorization": "Bearer guess"},
        {"Authorization": "Basic Og=="},
        {"Authorization": ""},
        {"X-Api-Key": "guess"},
        {"X-Api-Key": ""},
    ],
    ids=str,
)
async def test_who_shows_something_wrong_is_not_let_in_by_a_cookie(
    house: House, browser: Person, shown: Headers
) -> None:
    headers = {"Cookie": f"medianest_access={browser.token}"} | shown
    before = list(house.store.events)
    for method, path in (("GET", "/api/v1/auth/me"), ("POST", "/api/v1/auth/logout")):
        problem(await Ask(method, path).by(house, headers), 401, "unauthenticated")
    assert house.store.events == before


async def test_behind_tls_a_cookie_that_plain_http_could_set_is_nobody_s(
    house: House, browser: Person
) -> None:
    async with house.client() as client:
        client.base_url = httpx.URL("https://medianest.test")
        for cookie, status in (("medianest_access", 401), ("__Secure-medianest_access", 200)):
            headers = {"Cookie": f"{cookie}={browser.token}"}
            answer = await client.get("/api/v1/auth/me", headers=headers)
            assert answer.status_code == status
