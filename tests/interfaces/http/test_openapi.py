import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from litestar import Litestar
from litestar.routes import HTTPRoute

from domain.media_requests import RequestStatus
from interfaces.http.app import ROUTES
from interfaces.http.call import Call
from tests.interfaces.house import House
from tests.interfaces.problems import problem, wrong_fields

TOLD_BY_OTHERS = {"OverseerrNews"}
"""Shapes of which others decide; we read what we need."""
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(house: House) -> dict[str, Any]:
    async with house.client() as client:
        answer = await client.get("/schema/openapi.json")
        prefixed = await client.get("/api/v1/schema/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == prefixed.content
    return answer.json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():  # pyright: ignore[reportUnknownVariableType] - JSON
            if name == "$ref":
                yield str(value)  # pyright: ignore[reportUnknownArgumentType] - JSON
            yield from references(value)
    elif isinstance(node, list):
        for value in node:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from references(value)


async def test_the_document_holds_together(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    for reference in references(document):
        _, kind, name = reference.removeprefix("#/").split("/")
        assert name in document["components"][kind], reference
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


async def test_every_route_that_can_be_reached_is_in_the_document(document: dict[str, Any]) -> None:
    told = {(path, method.upper()) for path, method, _ in operations(document)}
    app = Litestar(ROUTES, request_class=Call, openapi_config=None)
    routes = {
        (route.path_format, method)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    }
    assert told == {(path, method) for path, method in routes if method != "OPTIONS"}


async def test_every_route_documents_its_answers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        at = f"{method} {path}"
        assert operation["summary"], at
        assert operation["description"], at
        assert len(operation["tags"]) == 1, at
        answers = operation["responses"]
        assert any(int(status) < 300 for status in answers), at
        assert "500" in answers, at
        for status, answer in answers.items():
            assert answer["description"], at
            assert "X-Correlation-Id" in answer["headers"], at
            if int(status) >= 400:
                assert_problem(answer, int(status))
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= answers.keys(), at
        if "security" in operation:
            assert {"401", "403", "429"} <= answers.keys(), at


def assert_problem(answer: dict[str, Any], status: int) -> None:
    (media_type,) = answer["content"]
    assert media_type == "application/problem+json"
    problem, narrowed = answer["content"][media_type]["schema"]["allOf"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert narrowed["properties"]["status"] == {"const": status}
    types = narrowed["properties"]["type"]["enum"]
    assert all(f"`{type_}`" in answer["description"] for type_ in types)
    if status in {429, 503}:
        assert "Retry-After" in answer["headers"]


@pytest.mark.parametrize(
    ("operation_id", "ways"),
    [
        ("login", []),
        ("me", ["bearer", "apiKey read", "cookie"]),
        ("changeMe", ["bearer", "cookie + csrf"]),
        ("requestMedia", ["bearer", "apiKey write", "cookie + csrf"]),
        ("listUsers", ["bearer", "apiKey admin", "cookie"]),
    ],
)
async def test_a_route_says_how_to_come_in(
    document: dict[str, Any], operation_id: str, ways: list[str]
) -> None:
    (operation,) = (
        operation
        for _, _, operation in operations(document)
        if operation["operationId"] == operation_id
    )
    told: list[dict[str, list[str]]] = operation.get("security", [])
    assert ways == [
        " + ".join(" ".join([scheme, *scopes]) for scheme, scopes in way.items()) for way in told
    ]
    schemes = document["components"]["securitySchemes"]
    assert {scheme for way in told for scheme in way} <= schemes.keys()
    assert ("Only for admins." in operation["description"]) == (operation_id == "listUsers")


async def test_every_path_parameter_and_query_parameter_is_documented(
    document: dict[str, Any],
) -> None:
    shared = document["components"]["parameters"]
    for path, method, operation in operations(document):
        parameters = [
            shared[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
            for parameter in operation["parameters"]
        ]
        described = {(parameter["in"], parameter["name"]) for parameter in parameters}
        assert all("schema" in parameter for parameter in parameters)
        for name in re.findall(r"{(\w+)}", path):
            assert ("path", name) in described
        assert ("header", "X-Correlation-Id") in described
        if "security" in operation:
            waits, repeats = ("query", "after"), ("header", "Idempotency-Key")
            assert (waits in described, repeats in described) == (method == "get", method != "get")
    search = document["paths"]["/api/v1/media/search"]["get"]["parameters"]
    required = {
        parameter["name"]: parameter["required"] for parameter in search if "in" in parameter
    }
    assert required == {"after": False, "q": True, "page": False}
    listing = document["paths"]["/api/v1/media/requests"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in listing if "in" in parameter}
    assert schemas.keys() == {
        "after",
        "status",
        "mediaType",
        "requestedBy",
        "is4k",
        "awaitsApproval",
        "following",
        "q",
        "sort",
        "cursor",
        "limit",
    }
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert schemas["status"]["enum"] == sorted(RequestStatus)


async def test_the_shapes_are_as_strict_as_the_door(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    taken = {
        body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, _, operation in operations(document)
        if (body := operation.get("requestBody"))
    }
    for name in taken - TOLD_BY_OTHERS:
        assert shapes[name]["additionalProperties"] is False, name
    for name in shapes.keys() - taken:
        assert shapes[name]["description"], name
    assert (
        set(shapes["SignedInAnswer"]["required"]) == shapes["SignedInAnswer"]["properties"].keys()
    )
    assert shapes["Problem"]["required"] == ["type", "title", "status", "detail", "correlationId"]
    assert shapes["HistoryEntry"]["properties"]["at"] == {"type": "string", "format": "date-time"}
    assert shapes["AlertView"]["properties"]["resolvedAt"] == {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]
    }
    assert "`windowSeconds`" in shapes["LimitWish"]["description"]


async def test_options_of_every_address_name_the_methods_that_it_documents(
    house: House, document: dict[str, Any]
) -> None:
    async with house.client() as client:
        for path, item in document["paths"].items():
            answer = await client.options(filled(path, item))
            methods = {method.upper() for method in METHODS & item.keys()}
            implied = {"OPTIONS", *(["HEAD"] if "GET" in methods else [])}
            assert answer.status_code == 204, path
            assert set(answer.headers["allow"].split(", ")) == methods | implied, path


def filled(path: str, item: dict[str, Any]) -> str:
    """The path with something of the right form for each of its parameters."""
    (operation, *_) = item.values()
    numbers = {
        parameter["name"]
        for parameter in operation["parameters"]
        if parameter.get("schema", {}).get("type") == "integer"
    }
    return re.sub(r"{(\w+)}", lambda name: "1" if name[1] in numbers else str(uuid4()), path)


async def test_the_page_of_the_documentation_loads_nothing_from_elsewhere(house: House) -> None:
    async with house.client() as client:
        page = await client.get("/docs")
        again = await client.get("/api/v1/docs")
        assert page.status_code == again.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(loaded) == 3
        for address in loaded:
            if address != "data:,":
                asset = await client.get(address)
                assert asset.status_code == 200
                assert len(asset.content) > 100_000
    assert not re.findall(r"(?:https?:)?//", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]


async def test_nothing_else_of_the_package_is_served(house: House) -> None:
    async with house.client() as client:
        for name in ("default.min.css", "..%2fcore.py", "%2e%2e/core.py"):
            problem(await client.get(f"/docs/assets/{name}"), 404, "not-found")


async def test_the_documentation_takes_no_parameters(house: House) -> None:
    async with house.client() as client:
        for path in ("/docs?x=1", "/schema/openapi.json?x=1"):
            assert wrong_fields(await client.get(path)) == {"x": "Is not known here."}
