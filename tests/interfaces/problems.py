"""What every problem must be."""

from typing import Any

import httpx


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem in ``answer``, whole and of this status and kind."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["type"]) == (status, kind), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["correlationId"] == answer.headers["x-correlation-id"]
    return body


def wrong_fields(answer: httpx.Response) -> dict[str, str]:
    """The messages of a validation problem, by field."""
    errors = problem(answer, 400, "validation")["errors"]
    return {error["field"]: error["message"] for error in errors}
