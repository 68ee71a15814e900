import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interfaces.house import House
from tests.interfaces.problems import problem, wrong_fields

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
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) == 9


async def test_every_route_documents_its_answers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        at = f"{method} {path}"
        assert operation["summary"], at
        assert operation["description"], at
        answers = operation["responses"]
        assert any(int(status) < 300 for status in answers), at
        assert "500" in answers, at
        for status, answer in answers.items():
            assert answer["description"], at
            if int(status) >= 400:
                (media_type,) = answer["content"]
                assert media_type == "application/problem+json", at
                schema = answer["content"][media_type]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, at
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= answers.keys(), at
        if "security" in operation:
            assert "401" in answers, at
        for header in (answer.get("headers", {}) for answer in answers.values()):
            assert all("schema" in described for described in header.values()), at


async def test_every_path_parameter_and_query_parameter_is_documented(
    document: dict[str, Any],
) -> None:
    for path, method, operation in operations(document):
        described = {
            (parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])
        }
        assert all("schema" in parameter for parameter in operation.get("parameters", []))
        for name in re.findall(r"{(\w+)}", path):
            assert ("path", name) in described
        if method == "get" and "security" in operation:
            assert ("query", "after") in described
    listing = document["paths"]["/api/v1/media/requests"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in listing}
    assert schemas.keys() == {"after", "status", "mediaType", "requestedBy", "cursor", "limit"}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert schemas["status"]["enum"] == ["failed", "forwarded", "pending"]


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
