"""Nothing that opens something, and nothing that names somebody, is left where others may look."""

import asyncio
from base64 import b64encode
from contextlib import suppress
from uuid import UUID

import msgspec
import pytest

from domain.notifications.inbox import inbox_id
from infrastructure.stand_ins.plex import OWNER_TOKEN
from tests.infrastructure.errors.test_sentry import sentry
from tests.journeys.traces import Secrets, find, forms, in_memory, on_disk
from tests.journeys.traveller import (
    ADDRESS,
    AGENT,
    CLICK,
    EMAIL,
    NAME,
    NEW_EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Traveller,
)
from tests.running import empty_medianest


class Journey(msgspec.Struct):
    """What a journey through everything has left behind; ``witnesses`` are no secrets."""

    secrets: set[str]
    places: dict[str, bytes]
    witnesses: dict[str, list[str]]


@pytest.fixture(scope="module")
async def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    path = tmp_path_factory.mktemp("secrecy")
    log, data_dir = path / "log", path / "data"
    with sentry() as (dsn, reports):
        environment = {"MEDIANEST_LOG_LEVEL": "debug", "SENTRY_DSN": dsn}
        started = empty_medianest(data_dir, "--api", "2", environment=environment, log=log)
        async with started as (running, stand_ins):
            keys = (stand_ins.tmdb.api_key, stand_ins.overseerr.api_key, OWNER_TOKEN)
            files = (file.read_text() for file in data_dir.glob("*.secret"))
            secrets = Secrets(ADDRESS, AGENT, NAME, *keys, *files)
            traveller = Traveller(running, stand_ins, secrets)
            await traveller.travel()
            witnesses = witnesses_of(traveller)
            places = await in_memory(running)
            with suppress(TimeoutError):  # what is missing then is told by the first test
                async with asyncio.timeout(30):
                    while missing(witnesses, places):
                        await asyncio.sleep(0.1)
                        places = await in_memory(running)
    places |= on_disk(running, log)
    places["error answers"] = b"\n\n".join(secrets.error_answers)
    places["sentry"] = b"\n\n".join(report.body for report in reports)
    return Journey(secrets.all, places, witnesses | witnesses_afterwards(traveller))


def witnesses_of(traveller: Traveller) -> dict[str, list[str]]:
    """What is no secret, and stands in each place while it runs."""
    admin, friend = traveller.people["admin"], traveller.people["friend"]
    person, request = traveller.people[EMAIL], traveller.request_id
    tables = {
        "events": [
            *(admin, friend, person, CLICK),
            *("sign_in.failed", "session.refresh_token_reused", "account.forgotten"),
            *("rate_limit_violation.recorded", "api_key.made", "alert.raised"),
        ],
        "accounts_v1": [admin, friend, person],
        "sessions_v1": [admin, person],
        "api_keys_v1": [person],
        "activity_v1": [friend, person, "sign_in_failed", "refresh_token_reused"],
        "media_requests_v2": [person, request],
        "rate_limit_policies_v1": [admin],
        "rate_limit_violations_v1": [f"account:{person}", "address:"],
        "alerts_v1": ["error"],
        "notifications_v1": [person],
        "inboxes_v1": [str(inbox_id(UUID(person)))],
        "deliveries_v1": [person, "given_up"],
        "error_log": [CLICK, "/auth/login", "/auth/sessions"],
        "idempotency_keys": [person],
        "outbox": [request],
        "personal_keys": [friend, person],
        "last_uses": ["-"],
    }
    return {
        **{f"table {name}": witnesses for name, witnesses in tables.items()},
        "valkey": [person, UUID(person).hex, "medianest:limit:general:address:"],
        "metrics": ["/api/v1/auth/login"],
        "queries": ["SELECT"],
        "command lines": ["--supervised"],
    }


def witnesses_afterwards(traveller: Traveller) -> dict[str, list[str]]:
    """The same of what is left when it has stopped, and of what it has answered."""
    person = traveller.people[EMAIL]
    return {
        "log": [CLICK, person, "request failed", '"process":"api"', '"process":"worker"'],
        "logs of the servers": ["cannot store", CLICK, person],
        "data folder": [CLICK, person],
        "sentry": [CLICK, "/api/v1/auth/login", "/api/v1/auth/sessions"],
        "error answers": [CLICK, "wrong-credentials", "too-many-requests", "internal-error"],
    }


def missing(witnesses: dict[str, list[str]], places: dict[str, bytes]) -> list[tuple[str, str]]:
    return [
        (place, witness)
        for place, expected in witnesses.items()
        for witness in expected
        if witness.encode() not in places[place]
    ]


async def test_the_journey_has_left_traces_in_every_place(journey: Journey) -> None:
    assert not missing(journey.witnesses, journey.places)
    empty = {place for place, text in journey.places.items() if not text}
    assert empty == {"table parked_events"}


async def test_the_journey_has_met_secrets_of_every_kind(journey: Journey) -> None:
    for kind in ("eyJ", "mnr_", "mnk_", "mns_"):
        assert len([secret for secret in journey.secrets if secret.startswith(kind)]) > 1
    assert {NAME, EMAIL, NEW_EMAIL, PASSWORD, NEW_PASSWORD, ADDRESS} <= journey.secrets
    assert len(journey.secrets) > 50


@pytest.mark.parametrize("secret", [PASSWORD, NAME, f"mnr_{'x' * 64}"])
def test_a_secret_is_found_in_whatever_form_it_is_planted(secret: str) -> None:
    for form in forms(secret) | {secret.upper().encode()}:
        assert find([secret], {"a": b"nothing", "b": b"so \xff" + form + b" it is"})
    sentence = f"Somebody said: {secret}, and that is all there is.".encode()
    for start in range(3):
        assert find([secret], {"a": b64encode(sentence[start:])})


async def test_no_secret_and_no_name_stands_anywhere(journey: Journey) -> None:
    assert find(journey.secrets, journey.places) == []
