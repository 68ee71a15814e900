"""One run of schemathesis over the OpenAPI document of a running MediaNest."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import schemathesis
from schemathesis import CheckContext, Response, checks
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import UseAfterFree

from tests.contract.plausible import Case

_tool = cast("Any", schemathesis)  # whose hooks have no types
CHECKS = frozenset(
    {
        "allow_header_conformance",
        "content_type_conformance",
        "documented_headers",
        "ensure_resource_availability",
        "ignored_auth",
        "missing_required_header",
        "negative_data_rejection",
        "not_a_server_error",
        "object_level_authorization",
        "positive_data_acceptance",
        "response_headers_conformance",
        "response_schema_conformance",
        "status_code_conformance",
        "unsupported_method",
        "use_after_free",
    }
)
"""All that schemathesis has, and one of ours. What none of them may find a fault in:"""
RIGHT_FORM_MAY_ANSWER = ["2xx", "3xx", "401", "403", "404", "409", "422", "429"]
"""As schemathesis has it, but for two. 5xx, of which it lets all pass, never. And 422, of which the
document knows one kind only: an idempotency key was used up, which no form can tell."""
WEBSOCKET = "GET /api/v1/ws"
"""Whoever asks there for anything but a WebSocket is told so (426), whatever the form."""
UNIVERSAL = frozenset(
    {
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "transfer-encoding",
        # Security
        "content-security-policy",
        "cross-origin-resource-policy",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
    }
)
"""Headers that any answer may have without a word in the document."""


@_tool.check
def documented_headers(_: CheckContext, response: Response, case: Case) -> None:
    """No answer has a header that the document does not name."""
    described = case.operation.responses.find_by_status_code(response.status_code)
    if described is None or response.request.method != case.operation.method.upper():
        return
    named = {name.lower() for name, _ in described.headers.items()}
    undocumented = response.headers.keys() - UNIVERSAL - named
    if undocumented:
        raise AssertionError(f"Undocumented headers: {', '.join(sorted(undocumented))}")


@_tool.hook
def filter_failure(_: Any, failure: Failure, case: Case, response: Response) -> bool:
    """What was deleted and is still shown, as such.

    Who was forgotten, because requests name them: but as nobody. And a request that was taken back,
    with its history.
    """
    if not isinstance(failure, UseAfterFree):
        return True
    shown = response.json()
    match case.operation.label:
        case "GET /api/v1/admin/users/{account_id}":
            told = shown.get("state"), shown.get("email"), shown.get("name")
            return told != ("forgotten", None, None)
        case "GET /api/v1/media/requests/{request_id}":
            return shown.get("status") not in {"withdrawn", "cancelled"}
        case "GET /api/v1/media/requests/{request_id}/history":
            types = {entry["type"] for entry in shown["items"]}
            return not types & {"media_request.withdrawn", "media_request.cancelled"}
        case _:
            return True


def known_checks() -> set[str]:
    """The names of all checks that this version of schemathesis has."""
    return set(cast("Any", checks).CHECKS.get_all_names())


class Verdict(msgspec.Struct):
    """What came of it: each fault, how often each operation answered what, and what was checked.

    ``peers`` are the answers to a peer who asked for what the examiner had seen.
    """

    faults: dict[str, str] = {}
    answers: defaultdict[str, Counter[int]] = msgspec.field(
        default_factory=lambda: defaultdict(Counter[int])
    )
    peers: Counter[int] = msgspec.field(default_factory=Counter[int])
    checked: set[str] = set()
    ended: str = ""

    def reached(self) -> set[str]:
        """The operations that have answered with success."""
        return {
            operation
            for operation, statuses in self.answers.items()
            if any(200 <= status < 300 for status in statuses)
        }


def examine(
    document: dict[str, Any],
    url: str,
    people: Mapping[str, Mapping[str, str]],
    folder: Path,
    settings: dict[str, Any],
) -> Verdict:
    """Send what the document allows and what it forbids, and check every answer.

    ``people`` are the headers of who examines, and of peers who must not be shown what is theirs;
    nobody examines without any. ``settings`` are those of schemathesis that differ each time: the
    ``generation``, ``phases`` and ``checks``.
    """
    config = _settings(url, settings)
    if people:
        config["auth"]["wfc"] = _credentials(people, folder)
    schema = schemathesis.openapi.from_dict(
        _strict(document), config=_tool.Config.from_dict(config)
    )
    verdict = Verdict()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                _note(verdict, recorder, examiner=next(iter(people), None))
            case events.NonFatalError(info=info, label=label):
                verdict.faults[f"{label}: {info.title}"] = info.message
            case events.FatalError(exception=exception):
                raise exception
            case events.EngineFinished(stop_reason=reason):
                verdict.ended = reason
            case _:
                pass
    return verdict


def _settings(url: str, settings: dict[str, Any]) -> dict[str, Any]:
    def accepts(*statuses: str) -> dict[str, Any]:
        return {"positive_data_acceptance": {"expected-statuses": statuses}}

    return {
        "base-url": url,
        "seed": 1,
        "continue-on-failure": True,
        "generation": {
            "deterministic": True,
            "database": "none",
            **settings.get("generation", {}),
        },
        "phases": settings.get("phases", {}),
        "checks": {
            "enabled": True,
            **accepts(*RIGHT_FORM_MAY_ANSWER),
            **settings.get("checks", {}),
        },
        "operations": [
            {
                "include-name": WEBSOCKET,
                "checks": accepts(*RIGHT_FORM_MAY_ANSWER, "426"),
            }
        ],
        "auth": {"auto-signup": False},
        "output": {"sanitization": {"enabled": False}},
    }


def _credentials(people: Mapping[str, Mapping[str, str]], folder: Path) -> dict[str, Any]:
    """Who there is, as the Web Fuzzing Commons write it down."""
    path = folder / "people.json"
    entries = [
        {
            "name": name,
            "fixedHeaders": [{"name": header, "value": value} for header, value in shown.items()],
        }
        for name, shown in people.items()
    ]
    path.write_text(json.dumps({"auth": entries}))
    first, *others = people
    return {"path": str(path)} | ({"user": first, "peers": [first, *others]} if others else {})


def _strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document as if it also said that answers have no other fields than it names."""
    strict: dict[str, Any] = json.loads(json.dumps(document))
    for schema in strict["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return strict


def _note(verdict: Verdict, recorder: ScenarioRecorder, *, examiner: str | None) -> None:
    for id_, interaction in recorder.interactions.items():
        case, response = cast("Any", recorder.cases[id_]).value, interaction.response
        if response is None or interaction.request.method != case.operation.method.upper():
            continue
        verdict.answers[case.operation.label][response.status_code] += 1
        if case.auth_identity not in {None, examiner}:
            verdict.peers[response.status_code] += 1
    for id_, done in recorder.checks.items():
        for check in done:
            verdict.checked.add(check.name)
            if check.failure_info is not None:
                failure, sample = check.failure_info.failure, check.failure_info.code_sample
                case = cast("Any", recorder.cases[id_]).value
                place = f"{case.operation.label}: {failure.title}"
                verdict.faults.setdefault(place, f"{failure.message}\n{sample}")
