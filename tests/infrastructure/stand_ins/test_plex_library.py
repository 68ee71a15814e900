"""What the stand-in of a Plex server has on its shelves, as the original tells it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from infrastructure.stand_ins.running import StandIns

FILM = {"mediaType": "movie", "tmdbId": 603}
SERIES = {"mediaType": "tv", "tmdbId": 1396, "seasons": [1]}


@pytest.fixture
async def owner(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Plex-Token": stand_ins.plex.token, "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=stand_ins.plex.url, headers=headers) as client:
        yield client


@pytest.fixture
async def control(stand_ins: StandIns) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{stand_ins.control.url}/plex") as client:
        yield client


async def listed(owner: httpx.AsyncClient, section: int, **query: Any) -> dict[str, Any]:
    answer = await owner.get(f"/library/sections/{section}/all", params=query)
    assert answer.status_code == 200
    return answer.json()["MediaContainer"]


async def test_there_are_sections_of_each_kind(owner: httpx.AsyncClient) -> None:
    container = (await owner.get("/library/sections")).json()["MediaContainer"]

    kinds = [(section["key"], section["type"]) for section in container["Directory"]]
    assert kinds == [("1", "movie"), ("2", "show"), ("3", "movie"), ("4", "show")]
    assert (await owner.get("/library/sections/9/all")).status_code == 404


async def test_a_film_has_the_ids_of_others_only_when_they_are_asked_for(
    owner: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    assert (await control.put("/shelf", json=[FILM])).status_code == 204

    (bare,) = (await listed(owner, 1))["Metadata"]
    (full,) = (await listed(owner, 1, includeGuids=1))["Metadata"]

    assert "Guid" not in bare
    assert bare["guid"].startswith("plex://movie/")
    assert [guid["id"] for guid in full["Guid"]] == ["imdb://tt0133093", "tmdb://603"]
    assert (full["title"], full["year"], full["type"]) == ("The Matrix", 1999, "movie")
    assert full["Media"][0]["videoResolution"] == "1080"


async def test_a_series_has_its_episodes_as_leaves(
    owner: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    await control.put("/shelf", json=[SERIES, SERIES | {"seasons": [2], "is4k": True}])

    (hd,) = (await listed(owner, 2))["Metadata"]
    (uhd,) = (await listed(owner, 4))["Metadata"]
    leaves = (await owner.get(f"/library/metadata/{uhd['ratingKey']}/allLeaves")).json()

    assert (hd["leafCount"], hd["childCount"]) == (7, 1)
    episodes = leaves["MediaContainer"]["Metadata"]
    assert {episode["parentIndex"] for episode in episodes} == {2}
    assert {episode["Media"][0]["videoResolution"] for episode in episodes} == {"4k"}
    assert [episode["index"] for episode in episodes] == [*range(1, 14)]


async def test_a_section_comes_in_pages_with_what_changed_last_at_the_front(
    owner: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    await control.put("/shelf", json=[FILM | {"tmdbId": number} for number in (13, 78, 129)])
    pages = [
        await listed(
            owner,
            1,
            sort="updatedAt:desc",
            **{"X-Plex-Container-Start": start, "X-Plex-Container-Size": 2},
        )
        for start in (0, 2)
    ]

    titles = [[item["title"] for item in page["Metadata"]] for page in pages]
    assert titles == [["Spirited Away", "Blade Runner"], ["Forrest Gump"]]
    assert [(page["size"], page["totalSize"]) for page in pages] == [(2, 3), (1, 3)]


async def test_what_is_in_the_folder_is_there_after_a_scan(
    owner: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    await control.put("/folder", json=[FILM])
    assert (await listed(owner, 1))["totalSize"] == 0

    assert (await control.post("/scan")).status_code == 204
    assert (await listed(owner, 1))["totalSize"] == 1

    await control.delete("")
    assert (await listed(owner, 1))["totalSize"] == 0


async def test_the_shelf_needs_the_token_and_json(
    stand_ins: StandIns, owner: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(base_url=stand_ins.plex.url) as stranger:
        assert (await stranger.get("/library/sections")).status_code == 401
    xml = await owner.get("/library/sections", headers={"Accept": "*/*"})
    assert xml.status_code == 406
    for path in ("/library/metadata/1", "/library/metadata/x/allLeaves"):
        missing = await owner.get(path)
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/shelf", [{"mediaType": "book", "tmdbId": 1}], 400),
        ("/shelf", [{"mediaType": "movie", "tmdbId": 99_999_999}], 400),
        ("/cellar", [], 404),
    ],
)
async def test_what_cannot_be_put_there_is_refused(
    control: httpx.AsyncClient, path: str, body: list[dict[str, Any]], status: int
) -> None:
    assert (await control.put(path, json=body)).status_code == status
