"""Searching, and the pages of titles, with our status on each."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from application.ports import CatalogueUnavailable, Title
from domain.media_requests import Media, MediaType, media_request_id
from tests.interfaces.house import MATRIX, SEVERANCE, House, Person, film, series
from tests.interfaces.problems import problem, wrong_fields

REQUEST = "/api/v1/media/request"
SEARCH = "/api/v1/media/search"
THE_MATRIX = "/api/v1/media/movie/603"
THE_SERIES = f"/api/v1/media/tv/{SEVERANCE.tmdb_id}"
PAGES = [f"{SEARCH}?q=matrix", f"{THE_MATRIX}?"]


async def made(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(REQUEST, json=body)
    assert answer.status_code == 201
    return answer.json() | {"position": answer.headers["x-position"]}


# Finding


async def test_a_title_is_found_by_its_name(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.get(SEARCH, params={"q": "The Matrix"})
    assert answer.status_code == 200
    assert answer.json() == {
        "items": [
            {
                "mediaType": "movie",
                "tmdbId": 603,
                "title": "The Matrix",
                "originalTitle": "The Matrix",
                "overview": "",
                "year": 1999,
                "releaseDate": None,
                "posterPath": "/matrix.jpg",
                "backdropPath": None,
                "rating": None,
                "request": None,
                "request4k": None,
            }
        ],
        "page": 1,
        "totalPages": 1,
        "totalResults": 1,
    }


async def test_a_search_comes_in_pages(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        first = (await client.get(f"{SEARCH}?q=film")).json()
        last = (await client.get(f"{SEARCH}?q=film&page={first['totalPages']}")).json()
        beyond = (await client.get(f"{SEARCH}?q=film&page={first['totalPages'] + 1}")).json()
    assert (first["page"], first["totalResults"], len(first["items"])) == (1, 599, 20)
    assert (last["page"], len(last["items"])) == (30, 19)
    assert beyond["items"] == []


async def test_nothing_found_is_an_empty_page(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.get(f"{SEARCH}?q=zzzzzz")
    assert answer.status_code == 200
    assert (answer.json()["items"], answer.json()["totalResults"]) == ([], 0)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("", {"q": "Is required."}),
        ("q=", {"q": "Must be a text of 1 to 200 characters that is not blank."}),
        ("q=%20%09", {"q": "Must be a text of 1 to 200 characters that is not blank."}),
        (f"q={'x' * 201}", {"q": "Must be a text of 1 to 200 characters that is not blank."}),
        ("q=x&page=0", {"page": "Must be a whole number, 1 to 500."}),
        ("q=x&page=501", {"page": "Must be a whole number, 1 to 500."}),
        ("query=x", {"q": "Is required.", "query": "Is not known here."}),
    ],
)
async def test_a_wrong_search_is_told_what_is_wrong(
    house: House, alice: Person, query: str, wrong: dict[str, str]
) -> None:
    async with house.client(alice) as client:
        assert wrong_fields(await client.get(f"{SEARCH}?{query}")) == wrong


@pytest.mark.parametrize("name", ["null", "Null and void"])
async def test_a_title_may_be_called_null(house: House, alice: Person, name: str) -> None:
    house.catalogue.titles[Media(MediaType.MOVIE, 7777)] = Title("Null and Void")
    async with house.client(alice) as client:
        answer = await client.get(SEARCH, params={"q": name, "page": 1})
        assert [item["title"] for item in answer.json()["items"]] == ["Null and Void"]
        assert wrong_fields(await client.get(f"{SEARCH}?q=null&page=null")) == {
            "page": "Must be a whole number, 1 to 500."
        }


# Title pages


async def test_a_film_has_a_page(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.get(THE_MATRIX)
    assert answer.status_code == 200
    assert answer.json() == {
        "mediaType": "movie",
        "tmdbId": 603,
        "title": "The Matrix",
        "originalTitle": "The Matrix",
        "overview": "",
        "year": 1999,
        "releaseDate": None,
        "posterPath": "/matrix.jpg",
        "backdropPath": None,
        "rating": None,
        "genres": [],
        "production": None,
        "runtime": None,
        "imdbId": None,
        "tvdbId": None,
        "seasons": [],
        "request": None,
        "request4k": None,
    }


async def test_a_series_has_a_page_with_its_seasons_and_their_episodes(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        page = (await client.get(THE_SERIES)).json()
    assert (page["mediaType"], page["tmdbId"], page["title"]) == ("tv", 95396, "Severance")
    assert page["seasons"] == [
        {"number": 0, "name": "Season 0", "episodes": 8, "airDate": None},
        {"number": 1, "name": "Season 1", "episodes": 8, "airDate": None},
        {"number": 2, "name": "Season 2", "episodes": 8, "airDate": None},
    ]


async def test_a_title_that_there_is_not_is_unknown(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        problem(await client.get("/api/v1/media/movie/999999"), 404, "unknown-title")
        problem(await client.get("/api/v1/media/tv/603"), 404, "unknown-title")


@pytest.mark.parametrize("address", ["movie/0", "tv/-1", f"movie/{2**31}", "tv/x", "book/603"])
async def test_an_address_that_no_title_can_have_is_none(
    house: House, alice: Person, address: str
) -> None:
    async with house.client(alice) as client:
        problem(await client.get(f"/api/v1/media/{address}"), 404, "not-found")


# Our status


async def test_each_title_shows_our_request_in_each_quality(
    house: House, alice: Person, bob: Person
) -> None:
    async with house.client(alice) as client:
        hd = await made(client, film())
    async with house.client(bob) as client:
        uhd = await made(client, film(is4k=True))
    await house.forward(media_request_id(MATRIX))
    async with house.client(bob) as client:
        page = (await client.get(THE_MATRIX)).json()
        (found,) = (await client.get(f"{SEARCH}?q=matrix")).json()["items"]
    shown_hd = {
        "id": hd["id"],
        "href": f"/api/v1/media/requests/{hd['id']}",
        "status": "forwarded",
        "seasons": None,
        "requestedAt": hd["requestedAt"],
        "mine": False,
    }
    assert page["request"] == found["request"] == shown_hd
    assert page["request4k"] == found["request4k"]
    assert (page["request4k"]["id"], page["request4k"]["status"]) == (uhd["id"], "pending")
    assert page["request4k"]["mine"] is True


async def test_a_series_shows_which_seasons_were_asked_for(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        await made(client, series(1, 2))
        page = (await client.get(THE_SERIES)).json()
    assert page["request"]["seasons"] == [1, 2]
    assert page["request4k"] is None


async def test_a_film_and_a_series_of_one_id_have_requests_of_their_own(
    house: House, alice: Person
) -> None:
    house.catalogue.titles[Media(MediaType.TV, 603)] = house.catalogue.titles[SEVERANCE]
    async with house.client(alice) as client:
        await made(client, film())
        page = (await client.get("/api/v1/media/tv/603")).json()
    assert page["request"] is None


@pytest.mark.parametrize(("page", "titles"), [(f"{SEARCH}?q=film", 20), (THE_MATRIX, 1)])
async def test_all_requests_of_a_page_are_one_read(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch, page: str, titles: int
) -> None:
    reads: list[int] = []
    find_all = house.requests.find_all

    async def counted(request_ids: Any) -> Any:
        reads.append(len(request_ids))
        return await find_all(request_ids)

    monkeypatch.setattr(house.requests, "find_all", counted)
    async with house.client(alice) as client:
        assert (await client.get(page)).status_code == 200
    assert reads == [2 * titles]


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_that_shall_show_a_request_waits_for_it(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr("interfaces.http.call.LONGEST_WAIT", timedelta())
    async with house.client(alice) as client:
        asked = await made(client, film())
        house.requests.stopped_at = 0
        behind = await client.get(f"{page}&after={asked['position']}".replace("?&", "?"))
    problem(behind, 503, "read-model-behind")


# While the catalogue is away


@pytest.mark.parametrize("page", PAGES)
async def test_an_outage_is_told_and_never_an_empty_page(
    house: House, alice: Person, page: str
) -> None:
    house.catalogue.failure = CatalogueUnavailable("TMDB does not answer.", timedelta(seconds=11))
    async with house.client(alice) as client:
        answer = await client.get(page)
    body = problem(answer, 503, "catalogue-unavailable")
    assert body["detail"] == "TMDB does not answer."
    assert answer.headers["retry-after"] == "11"
