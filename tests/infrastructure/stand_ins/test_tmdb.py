"""The TMDB stand-in answers as developer.themoviedb.org says that TMDB does."""

import httpx
import pytest

from infrastructure.stand_ins.running import StandIns
from infrastructure.stand_ins.titles import LAST_ID


async def test_a_film_has_its_true_name_date_and_imdb_id(tmdb: httpx.AsyncClient) -> None:
    film = (await tmdb.get("/movie/603")).json()

    assert (film["id"], film["title"]) == (603, "The Matrix")
    assert (film["release_date"], film["imdb_id"]) == ("1999-03-31", "tt0133093")
    assert "external_ids" not in film


async def test_a_series_has_its_true_seasons_and_appended_ids(tmdb: httpx.AsyncClient) -> None:
    append = {"append_to_response": "external_ids,content_ratings"}

    series = (await tmdb.get("/tv/1396", params=append)).json()

    assert (series["name"], series["first_air_date"]) == ("Breaking Bad", "2008-01-20")
    assert series["number_of_seasons"] == 5
    counts = [(season["season_number"], season["episode_count"]) for season in series["seasons"]]
    assert counts == [(0, 9), (1, 7), (2, 13), (3, 13), (4, 13), (5, 16)]
    assert series["external_ids"] == {"imdb_id": "tt0903747", "tvdb_id": 81189}
    assert series["content_ratings"] == {"results": []}


async def test_any_other_id_is_a_title_and_always_the_same_one(tmdb: httpx.AsyncClient) -> None:
    first = (await tmdb.get("/movie/7000001")).json()
    again = (await tmdb.get("/movie/7000001")).json()
    series = (await tmdb.get("/tv/7000001")).json()

    assert first == again
    assert first["title"]
    assert first["release_date"]
    assert series["name"]
    assert len(series["seasons"]) == series["number_of_seasons"] >= 1


async def test_an_announced_title_has_an_empty_date(tmdb: httpx.AsyncClient) -> None:
    series = (await tmdb.get("/tv/4711099?append_to_response=external_ids")).json()

    assert series["first_air_date"] == ""
    assert series["poster_path"] is None
    assert series["seasons"] == []
    assert series["external_ids"]["tvdb_id"] is None


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/movie/{LAST_ID + 1}", 404, 34),
        (f"/tv/{LAST_ID + 1}", 404, 34),
        ("/movie/0", 404, 6),
        ("/movie/the-matrix", 404, 6),
        ("/no/such/path", 404, 34),
        (f"/movie/603?append_to_response={'images,' * 20}videos", 400, 27),
        ("/search/multi?query=alien&page=0", 400, 22),
        ("/search/multi?query=alien&page=501", 400, 22),
        ("/search/multi?query=alien&page=x", 400, 22),
    ],
)
async def test_an_error_has_its_status_and_its_own_code(
    tmdb: httpx.AsyncClient, path: str, status: int, code: int
) -> None:
    response = await tmdb.get(path)

    body = response.json()
    assert (response.status_code, body["status_code"], body["success"]) == (status, code, False)
    assert body["status_message"]


async def test_a_known_path_refuses_other_methods(tmdb: httpx.AsyncClient) -> None:
    response = await tmdb.post("/movie/603")

    assert (response.status_code, response.json()["status_code"]) == (405, 42)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_without_a_valid_key_nothing_is_told(
    stand_ins: StandIns, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(headers=headers) as stranger:
        response = await stranger.get(f"{stand_ins.tmdb.url}/movie/603?api_key=wrong")

    assert response.status_code == 401
    assert response.json() == {
        "status_code": 7,
        "status_message": "Invalid API key: You must be granted a valid key.",
        "success": False,
    }


async def test_the_older_api_key_opens_too(stand_ins: StandIns) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(
            f"{stand_ins.tmdb.url}/configuration", params={"api_key": stand_ins.tmdb.api_key}
        )

    assert response.status_code == 200
    assert "w500" in response.json()["images"]["poster_sizes"]


async def test_search_finds_films_series_and_people(tmdb: httpx.AsyncClient) -> None:
    dune = (await tmdb.get("/search/multi?query=dune")).json()
    office = (await tmdb.get("/search/multi?query=the%20office&page=1")).json()
    keanu = (await tmdb.get("/search/multi?query=keanu")).json()

    assert [(hit["media_type"], hit["id"]) for hit in dune["results"]] == [("movie", 438631)]
    assert [(hit["media_type"], hit["id"]) for hit in office["results"]] == [("tv", 2316)]
    assert [hit["media_type"] for hit in keanu["results"]] == ["person"]
    assert (dune["page"], dune["total_pages"], dune["total_results"]) == (1, 1, 1)


async def test_search_comes_in_pages_of_twenty(tmdb: httpx.AsyncClient) -> None:
    first = (await tmdb.get("/search/multi?query=harbour")).json()
    last = (await tmdb.get(f"/search/multi?query=harbour&page={first['total_pages']}")).json()

    assert len(first["results"]) == 20
    assert 0 < len(last["results"]) <= 20
    assert (first["total_pages"] - 1) * 20 + len(last["results"]) == first["total_results"]


async def test_search_without_a_hit_is_an_empty_page(tmdb: httpx.AsyncClient) -> None:
    for query in ("zzzzzz", ""):
        page = (await tmdb.get("/search/multi", params={"query": query})).json()
        assert (page["total_results"], page["results"]) == (0, [])
