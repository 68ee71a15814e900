"""What Overseerr's webhook may make us do: look, and nothing else."""

from typing import Any

import pytest

from application.effects import FollowUpstream
from domain.media_requests import Media, MediaType, RequestStatus, media_request_id
from tests.interfaces.house import MATRIX, OVERSEERR_SECRET, House, Person, film
from tests.interfaces.problems import problem, wrong_fields

HOOK = "/api/v1/webhooks/overseerr"
SECRET = {"Authorization": OVERSEERR_SECRET}
MATRIX_4K = Media(MediaType.MOVIE, 603, is4k=True)


def news(**media: Any) -> dict[str, Any]:
    """As the default template has it."""
    about = {"media_type": "movie", "tmdbId": "603", "tvdbId": "", "status": "AVAILABLE"}
    return {
        "notification_type": "MEDIA_AVAILABLE",
        "event": "Movie Request Now Available",
        "subject": "The Matrix (1999)",
        "media": about | {"status4k": "UNKNOWN"} | media,
        "request": {"request_id": "1", "requestedBy_email": "ann@example.org"},
        "issue": None,
        "comment": None,
        "extra": [],
    }


@pytest.fixture
async def forwarded(house: House, alice: Person) -> House:
    """The house, where Overseerr has a film in both qualities."""
    async with house.client(alice) as client:
        for is4k in (False, True):
            assert (
                await client.post("/api/v1/media/request", json=film(is4k=is4k))
            ).status_code == 201
    for media in (MATRIX, MATRIX_4K):
        await house.forward(media_request_id(media))
    return house


async def test_news_make_us_look_at_our_requests_in_both_qualities(forwarded: House) -> None:
    before = list(forwarded.store.events)
    async with forwarded.client() as client:
        answer = await client.post(HOOK, json=news(), headers=SECRET)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [job.effect for job in forwarded.jobs.jobs] == [
        FollowUpstream(media_request_id(MATRIX)),
        FollowUpstream(media_request_id(MATRIX_4K)),
    ]
    assert {job.correlation_id for job in forwarded.jobs.jobs} == {
        answer.headers["x-correlation-id"]
    }
    assert forwarded.store.events == before, "nothing is believed before it is seen"


async def test_news_that_come_again_cost_a_look_each(forwarded: House) -> None:
    async with forwarded.client() as client:
        for _ in range(3):
            await client.post(HOOK, json=news(), headers=SECRET)
    assert len({job.id for job in forwarded.jobs.jobs}) == len(forwarded.jobs.jobs) == 6


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "guess"},
        {"Authorization": f"{OVERSEERR_SECRET} " + "x"},
        {"Authorization": OVERSEERR_SECRET.upper()},
        {"X-Api-Key": OVERSEERR_SECRET},
    ],
    ids=str,
)
async def test_who_does_not_know_the_secret_is_not_heard(
    forwarded: House, headers: dict[str, str]
) -> None:
    async with forwarded.client() as client:
        for body in (news(), {"media": 1}):
            answer = await client.post(HOOK, json=body, headers=headers)
            problem(answer, 401, "wrong-webhook-secret")
    assert forwarded.jobs.jobs == []


async def test_not_even_an_admin_is_overseerr(forwarded: House, admin: Person) -> None:
    async with forwarded.client(admin) as client:
        problem(await client.post(HOOK, json=news()), 401, "wrong-webhook-secret")
    assert forwarded.jobs.jobs == []


async def test_the_secret_may_come_as_a_bearer_token(forwarded: House) -> None:
    async with forwarded.client() as client:
        bearer = {"Authorization": f"Bearer {OVERSEERR_SECRET}"}
        assert (await client.post(HOOK, json=news(), headers=bearer)).status_code == 204
    assert len(forwarded.jobs.jobs) == 2


@pytest.mark.parametrize("shown", ["", "Bearer ", "None"])
async def test_where_no_secret_is_set_nobody_is_heard(shown: str) -> None:
    house = House(overseerr_secret=None)
    async with house.client() as client:
        answer = await client.post(HOOK, json=news(), headers={"Authorization": shown})
    problem(answer, 401, "wrong-webhook-secret")


@pytest.mark.parametrize(
    "body",
    [
        news(tmdbId="604"),
        news(media_type="tv"),
        news(tmdbId=""),
        news(tmdbId="99999999999999999999"),
        news(media_type="music"),
        news() | {"media": None, "request": None, "notification_type": "TEST_NOTIFICATION"},
        {"notification_type": "SOMETHING_NEW"},
        {},
    ],
)
async def test_news_of_what_is_not_ours_are_taken_and_lead_to_nothing(
    forwarded: House, body: dict[str, Any]
) -> None:
    async with forwarded.client() as client:
        assert (await client.post(HOOK, json=body, headers=SECRET)).status_code == 204
    assert forwarded.jobs.jobs == []


async def test_a_request_that_overseerr_does_not_have_yet_is_not_looked_for(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        await client.post("/api/v1/media/request", json=film())
    async with house.client() as client:
        assert (await client.post(HOOK, json=news(), headers=SECRET)).status_code == 204
    assert house.jobs.jobs == []


async def test_what_is_not_the_template_is_told_so(forwarded: House) -> None:
    async with forwarded.client() as client:
        wrong = await client.post(HOOK, json=news(tmdbId=603), headers=SECRET)
        garbage = await client.post(
            HOOK, content=b"{", headers=SECRET | {"Content-Type": "application/json"}
        )
        form = await client.post(HOOK, data={"media": "1"}, headers=SECRET)
        endless = await client.post(HOOK, json=news(tmdbId="9" * 5000), headers=SECRET)
    for answer in (wrong, endless):
        assert wrong_fields(answer) == {"media.tmdbId": "Must be a text, at most 100 characters."}
    problem(garbage, 400, "malformed-json")
    problem(form, 415, "unsupported-media-type")
    assert forwarded.jobs.jobs == []


async def test_a_look_sees_what_overseerr_says_and_not_what_the_news_said(
    forwarded: House,
) -> None:
    async with forwarded.client() as client:
        await client.post(HOOK, json=news(), headers=SECRET)
    (job, *_) = forwarded.jobs.jobs
    assert isinstance(job.effect, FollowUpstream)
    await forwarded.news.follow(job.effect, job)
    row = await forwarded.requests.find(media_request_id(MATRIX))
    assert row is not None
    assert row.status is RequestStatus.FORWARDED
