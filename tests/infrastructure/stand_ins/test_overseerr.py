"""The Overseerr stand-in answers as Overseerr's routes and its OpenAPI document say."""

import asyncio
from typing import Any

import httpx
import pytest

from infrastructure.stand_ins.running import StandIns

FILM: dict[str, Any] = {"mediaType": "movie", "mediaId": 603, "is4k": False}
SERIES: dict[str, Any] = {"mediaType": "tv", "mediaId": 1396, "is4k": False}

REQUEST, ADMIN = 32, 2


async def add_user(overseerr: httpx.AsyncClient, permissions: int, **quota: int) -> dict[str, str]:
    """The headers that act as a new user."""
    email = f"{permissions}@example.com"
    body = {"email": email, "permissions": permissions}
    user = (await overseerr.post("/user", json=body)).json()
    if quota:
        await overseerr.post(f"/user/{user['id']}/settings/main", json=quota)
    return {"X-API-User": str(user["id"])}


async def media_info(overseerr: httpx.AsyncClient, path: str) -> dict[str, Any]:
    return (await overseerr.get(path)).json()["mediaInfo"]


# Keys


async def test_status_is_public(stand_ins: StandIns) -> None:
    async with httpx.AsyncClient() as stranger:
        response = await stranger.get(f"{stand_ins.overseerr.url}/api/v1/status")

    assert response.status_code == 200
    assert response.json().keys() == {
        "version", "commitTag", "updateAvailable", "commitsBehind", "restartRequired",
    }  # fmt: skip


async def test_auth_me_proves_the_key(overseerr: httpx.AsyncClient) -> None:
    response = await overseerr.get("/auth/me")

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["permissions"]) == (1, ADMIN)


@pytest.mark.parametrize("headers", [{"X-Api-Key": "wrong"}, {"X-API-User": "77"}])
@pytest.mark.parametrize("path", ["/auth/me", "/request", "/movie/603"])
async def test_a_wrong_key_or_acting_user_is_an_error_not_a_message(
    overseerr: httpx.AsyncClient, headers: dict[str, str], path: str
) -> None:
    response = await overseerr.get(path, headers=headers)

    assert response.status_code == 403
    assert response.json() == {
        "status": 403,
        "error": "You do not have permission to access this endpoint",
    }


async def test_without_any_key_a_cookie_is_asked_for(stand_ins: StandIns) -> None:
    async with httpx.AsyncClient() as stranger:
        response = await stranger.get(f"{stand_ins.overseerr.url}/api/v1/auth/me")

    message = "cookie 'connect.sid' required"
    assert response.status_code == 401
    assert response.json() == {
        "message": message,
        "errors": [{"path": "/api/v1/auth/me", "message": message}],
    }


# Validation


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where"),
    [
        ("GET", "/request?tkae=5", None, 400, ".query.tkae"),
        ("GET", "/request?take=many", None, 400, ".query.take"),
        ("GET", "/request?sort=oldest", None, 400, ".query.sort"),
        ("GET", "/request?filter=mine", None, 400, ".query.filter"),
        ("GET", "/movie/603?append=x", None, 400, ".query.append"),
        ("GET", "/movie/matrix", None, 400, ".params.movieId"),
        ("POST", "/request", {"mediaType": "movie"}, 400, ".body"),
        ("POST", "/request", {"mediaType": "book", "mediaId": 1}, 400, ".body"),
        ("POST", "/request", SERIES | {"seasons": "some"}, 400, ".body"),
        ("POST", "/request", FILM | {"mediaId": "603"}, 400, ".body"),
        ("GET", "/nothing", None, 404, "/api/v1/nothing"),
        ("PATCH", "/request", None, 405, "/api/v1/request"),
    ],
)
async def test_what_the_openapi_document_does_not_allow_is_refused(
    overseerr: httpx.AsyncClient, method: str, path: str, body: Any, status: int, where: str
) -> None:
    response = await overseerr.request(method, path, json=body)

    problem = response.json()
    assert response.status_code == status
    assert problem["errors"] == [{"path": where, "message": problem["message"]}]


async def test_an_unknown_query_parameter_is_named(overseerr: httpx.AsyncClient) -> None:
    response = await overseerr.get("/user?tkae=5")

    assert response.json()["message"] == "Unknown query parameter 'tkae'"


# Requests


async def test_a_request_of_the_owner_is_approved_at_once(overseerr: httpx.AsyncClient) -> None:
    response = await overseerr.post("/request", json=FILM)

    made = response.json()
    assert response.status_code == 201
    assert (made["id"], made["status"], made["type"], made["is4k"]) == (1, 2, "movie", False)
    assert (made["requestedBy"]["id"], made["modifiedBy"]["id"]) == (1, 1)
    media = made["media"]
    assert (media["tmdbId"], media["status"], media["status4k"]) == (603, 3, 1)


async def test_a_request_of_others_waits(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)

    made = (await overseerr.post("/request", json=FILM, headers=friend)).json()

    assert (made["status"], made["media"]["status"]) == (1, 2)
    assert (made["requestedBy"]["id"], made["modifiedBy"]) == (2, None)


async def test_a_request_for_another_user_is_approved_by_who_asks(
    overseerr: httpx.AsyncClient,
) -> None:
    await add_user(overseerr, REQUEST)

    made = (await overseerr.post("/request", json=FILM | {"userId": 2})).json()

    assert (made["status"], made["requestedBy"]["id"]) == (2, 2)


async def test_a_second_request_for_a_film_is_a_conflict(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    response = await overseerr.post("/request", json=FILM)

    assert response.status_code == 409
    assert response.json() == {"message": "Request for this media already exists."}


async def test_the_two_qualities_do_not_conflict(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    response = await overseerr.post("/request", json=FILM | {"is4k": True})

    assert response.status_code == 201
    assert (response.json()["media"]["status"], response.json()["media"]["status4k"]) == (3, 3)


async def test_without_is4k_nothing_is_a_duplicate(overseerr: httpx.AsyncClient) -> None:
    careless = {"mediaType": "movie", "mediaId": 603}

    statuses = [(await overseerr.post("/request", json=careless)).status_code for _ in range(2)]

    assert statuses == [201, 201]
    info = await media_info(overseerr, "/movie/603")
    assert [request["is4k"] for request in info["requests"]] == [False, False]


async def test_of_simultaneous_requests_one_is_made(overseerr: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(overseerr.post("/request", json=FILM) for _ in range(20)))

    assert sorted(response.status_code for response in responses) == [201] + 19 * [409]
    assert len((await media_info(overseerr, "/movie/603"))["requests"]) == 1


async def test_all_seasons_are_those_with_episodes_but_no_specials(
    overseerr: httpx.AsyncClient,
) -> None:
    made = (await overseerr.post("/request", json=SERIES | {"seasons": "all"})).json()

    assert [season["seasonNumber"] for season in made["seasons"]] == [1, 2, 3, 4, 5]
    assert made["media"]["tvdbId"] == 81189


async def test_seasons_asked_for_before_are_left_out(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=SERIES | {"seasons": [1, 2]})

    made = (await overseerr.post("/request", json=SERIES | {"seasons": [0, 2, 3]})).json()

    assert [season["seasonNumber"] for season in made["seasons"]] == [3]


async def test_with_no_season_left_nothing_is_made_and_that_is_a_202(
    overseerr: httpx.AsyncClient,
) -> None:
    await overseerr.post("/request", json=SERIES | {"seasons": "all"})

    response = await overseerr.post("/request", json=SERIES | {"seasons": [2, 3]})

    assert response.status_code == 202
    assert response.json() == {"message": "No seasons available to request"}


async def test_a_series_without_seasons_breaks_the_original(overseerr: httpx.AsyncClient) -> None:
    assert (await overseerr.post("/request", json=SERIES)).status_code == 500


async def test_an_unknown_title_is_a_failure_of_tmdb(overseerr: httpx.AsyncClient) -> None:
    made = await overseerr.post("/request", json=FILM | {"mediaId": 99_999_999})
    shown = await overseerr.get("/movie/99999999")

    assert made.status_code == shown.status_code == 500
    assert "status code 404" in made.json()["message"]
    assert shown.json() == {"message": "Unable to retrieve movie."}


# The four meanings of 403 on POST, beside a bad key


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (FILM, "movie"),
        (FILM | {"is4k": True}, "4K movie"),
        (SERIES | {"seasons": "all"}, "series"),
    ],
)
async def test_who_may_not_request_is_told_so(
    overseerr: httpx.AsyncClient, body: dict[str, Any], kind: str
) -> None:
    guest = await add_user(overseerr, permissions=0)

    response = await overseerr.post("/request", json=body, headers=guest)

    assert response.status_code == 403
    message = f"You do not have permission to make {kind} requests."
    assert response.json() == {"message": message}


async def test_who_may_not_act_for_others_is_told_so(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)

    response = await overseerr.post("/request", json=FILM | {"userId": 1}, headers=friend)

    assert response.status_code == 403
    message = "You do not have permission to modify the request user."
    assert response.json() == {"message": message}


async def test_a_film_quota_counts_films(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST, movieQuotaLimit=1, movieQuotaDays=7)
    await overseerr.post("/request", json=FILM, headers=friend)

    response = await overseerr.post("/request", json=FILM | {"mediaId": 550}, headers=friend)
    quota = (await overseerr.get("/user/2/quota")).json()

    assert (response.status_code, response.json()) == (403, {"message": "Movie Quota exceeded."})
    assert quota["movie"] == {
        "days": 7, "limit": 1, "used": 1, "remaining": 0, "restricted": True,
    }  # fmt: skip
    assert quota["tv"] == {"days": None, "limit": 0, "used": 0, "restricted": False}


async def test_a_series_quota_counts_seasons(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST, tvQuotaLimit=3)

    too_many = await overseerr.post("/request", json=SERIES | {"seasons": "all"}, headers=friend)
    fitting = await overseerr.post("/request", json=SERIES | {"seasons": [1, 2]}, headers=friend)

    assert too_many.status_code == 403
    assert too_many.json() == {"message": "Series Quota exceeded."}
    assert fitting.status_code == 201
    assert (await overseerr.get("/user/2/quota")).json()["tv"]["remaining"] == 1


async def test_the_owner_has_no_quota(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/user/1/settings/main", json={"movieQuotaLimit": 1})
    await overseerr.post("/request", json=FILM)

    assert (await overseerr.post("/request", json=FILM | {"mediaId": 550})).status_code == 201


async def test_a_blocklisted_title_is_refused(overseerr: httpx.AsyncClient) -> None:
    assert (
        await overseerr.post("/blocklist", json={"tmdbId": 603, "mediaType": "movie"})
    ).status_code == 201

    response = await overseerr.post("/request", json=FILM)

    assert (response.status_code, response.json()) == (
        403,
        {"message": "This media is blocklisted."},
    )


# Reading, deciding, deleting


async def test_requests_are_listed_in_pages_newest_first(overseerr: httpx.AsyncClient) -> None:
    for tmdb_id in (13, 78, 129):
        await overseerr.post("/request", json=FILM | {"mediaId": tmdb_id})

    first = (await overseerr.get("/request?take=2&skip=0")).json()
    second = (await overseerr.get("/request?take=2&skip=2")).json()

    assert first["pageInfo"] == {"pages": 2, "pageSize": 2, "results": 3, "page": 1}
    assert [request["id"] for request in first["results"]] == [3, 2]
    assert second["pageInfo"]["page"] == 2
    assert [request["id"] for request in second["results"]] == [1]


async def test_requests_can_be_listed_by_their_last_change(overseerr: httpx.AsyncClient) -> None:
    for tmdb_id in (13, 78):
        await overseerr.post("/request", json=FILM | {"mediaId": tmdb_id})
    await overseerr.post("/request/1/decline")

    added = (await overseerr.get("/request?sort=added")).json()["results"]
    modified = (await overseerr.get("/request?sort=modified")).json()["results"]

    assert [request["id"] for request in added] == [2, 1]
    assert [request["id"] for request in modified] == [1, 2]


async def test_requests_are_filtered_by_their_state(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=FILM)
    await overseerr.post("/request", json=FILM | {"mediaId": 550}, headers=friend)
    await overseerr.post("/request", json=SERIES | {"seasons": [1]})
    await overseerr.post("/request/1/decline")
    await overseerr.post("/media/3/available", json={"is4k": False})

    async def ids(query: str) -> list[int]:
        page = (await overseerr.get(f"/request?{query}")).json()
        return [request["id"] for request in page["results"]]

    assert await ids("filter=all") == [3, 2, 1]
    assert await ids("filter=pending") == [2]
    assert await ids("filter=approved") == []
    assert await ids("filter=available") == await ids("filter=completed") == [3]
    assert await ids("filter=unavailable") == [2]
    assert await ids("filter=failed") == []
    assert await ids("mediaType=tv") == [3]
    assert await ids("requestedBy=2") == [2]


async def test_people_see_their_own_requests_only(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=FILM)
    await overseerr.post("/request", json=FILM | {"mediaId": 550}, headers=friend)

    listed = (await overseerr.get("/request", headers=friend)).json()["results"]
    of_others = await overseerr.get("/request?requestedBy=1", headers=friend)
    foreign = await overseerr.get("/request/1", headers=friend)
    own = await overseerr.get("/request/2", headers=friend)

    assert [request["id"] for request in listed] == [2]
    assert (of_others.status_code, foreign.status_code, own.status_code) == (403, 403, 200)
    assert foreign.json() == {"message": "You do not have permission to view this request."}


@pytest.mark.parametrize(
    ("decision", "request_status", "media_status"),
    [("approve", 2, 3), ("decline", 3, 1), ("pending", 1, 2), ("retry", 2, 3)],
)
async def test_a_decision_moves_the_request_and_its_media(
    overseerr: httpx.AsyncClient, decision: str, request_status: int, media_status: int
) -> None:
    friend = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=SERIES | {"seasons": [1]}, headers=friend)

    decided = await overseerr.post(f"/request/1/{decision}")

    assert decided.status_code == 200
    assert decided.json()["status"] == decided.json()["seasons"][0]["status"] == request_status
    assert (await media_info(overseerr, "/tv/1396"))["status"] == media_status


async def test_decisions_need_rights_a_request_and_sense(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=FILM)

    assert (await overseerr.post("/request/1/approve", headers=friend)).status_code == 403
    assert (await overseerr.post("/request/9/approve")).json() == {"message": "Request not found."}
    assert (await overseerr.post("/request/1/perhaps")).status_code == 400


async def test_a_declined_film_may_be_requested_again(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)
    await overseerr.post("/request/1/decline")

    again = await overseerr.post("/request", json=FILM)

    assert (again.status_code, again.json()["id"]) == (201, 2)


async def test_a_film_that_is_there_completes_its_request(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    await overseerr.post("/media/1/available", json={"is4k": False})

    info = await media_info(overseerr, "/movie/603")
    assert (info["status"], info["requests"][0]["status"]) == (5, 5)


async def test_seasons_that_are_there_complete_the_requests_for_them(
    overseerr: httpx.AsyncClient,
) -> None:
    await overseerr.post("/request", json=SERIES | {"seasons": [1]})
    await overseerr.post("/request", json=SERIES | {"seasons": [2, 3]})
    for number in (1, 2):
        found = {"is4k": False, "seasons": [{"seasonNumber": number}]}
        assert (await overseerr.post("/media/1/partial", json=found)).status_code == 200

    first = (await overseerr.get("/request/1")).json()
    second = (await overseerr.get("/request/2")).json()
    assert (first["status"], second["status"], second["media"]["status"]) == (5, 2, 4)
    seasons = [
        (season["seasonNumber"], season["status"], season["status4k"])
        for season in second["media"]["seasons"]
    ]
    assert seasons == [(1, 5, 1), (2, 5, 1)]


async def test_a_film_is_never_there_in_part(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    refused = await overseerr.post("/media/1/partial", json={"is4k": False})

    assert (refused.status_code, refused.json()) == (
        400,
        {"message": "Only series can be set to be partially available"},
    )


async def test_a_deleted_file_leaves_a_deleted_title(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM | {"is4k": True})

    assert (await overseerr.delete("/media/1/file?is4k=true")).status_code == 204

    info = await media_info(overseerr, "/movie/603")
    assert (info["status"], info["status4k"]) == (1, 7)


async def test_unknown_media_has_no_status(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    assert (await overseerr.post("/media/7/available", json={})).status_code == 404
    assert (await overseerr.post("/media/1/lost", json={})).status_code == 400


async def test_a_deleted_request_is_gone_without_a_trace(overseerr: httpx.AsyncClient) -> None:
    await overseerr.post("/request", json=FILM)

    deleted = await overseerr.delete("/request/1")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await overseerr.get("/request/1")).status_code == 404
    assert (await overseerr.delete("/request/1")).status_code == 404
    assert (await media_info(overseerr, "/movie/603"))["status"] == 1


async def test_people_delete_only_their_own_pending_requests(
    overseerr: httpx.AsyncClient,
) -> None:
    friend = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=FILM)
    await overseerr.post("/request", json=FILM | {"mediaId": 550}, headers=friend)

    foreign = await overseerr.delete("/request/1", headers=friend)
    own = await overseerr.delete("/request/2", headers=friend)

    assert foreign.status_code == 401
    message = "You do not have permission to delete this request."
    assert foreign.json() == {"message": message}
    assert own.status_code == 204


async def test_a_title_shows_its_seasons_and_nobodys_interest(
    overseerr: httpx.AsyncClient,
) -> None:
    series = (await overseerr.get("/tv/87108")).json()

    assert series["seasons"] == [{"seasonNumber": 1, "episodeCount": 5}]
    assert "mediaInfo" not in series


# People


async def test_people_are_listed_in_pages(overseerr: httpx.AsyncClient) -> None:
    await add_user(overseerr, REQUEST)

    page = (await overseerr.get("/user?take=1&skip=1")).json()

    assert page["pageInfo"] == {"pages": 2, "pageSize": 1, "results": 2, "page": 2}
    assert [user["email"] for user in page["results"]] == ["32@example.com"]


async def test_people_are_added_once_and_by_an_admin(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)

    twice = await overseerr.post("/user", json={"email": "32@example.com"})
    unauthorised = await overseerr.post("/user", json={"email": "b@c.de"}, headers=friend)

    assert (twice.status_code, unauthorised.status_code) == (409, 403)


async def test_who_is_removed_leaves_no_request(overseerr: httpx.AsyncClient) -> None:
    acting = await add_user(overseerr, REQUEST)
    await overseerr.post("/request", json=FILM, headers=acting)

    removed = await overseerr.delete(f"/user/{acting['X-API-User']}")

    assert removed.status_code == 200
    assert (await overseerr.get("/request/1")).status_code == 404
    assert (await overseerr.get("/auth/me", headers=acting)).status_code == 403
    assert (await overseerr.delete("/user/1")).status_code == 405


async def test_a_quota_is_shown_to_its_owner_and_to_admins(overseerr: httpx.AsyncClient) -> None:
    friend = await add_user(overseerr, REQUEST)

    assert (await overseerr.get("/user/2/quota", headers=friend)).status_code == 200
    assert (await overseerr.get("/user/1/quota", headers=friend)).status_code == 403
    assert (await overseerr.get("/user/9/quota")).status_code == 404
