"""The OpenAPI document: what Litestar knows of the routes, and what only this house knows of them.

Litestar tells the paths, their parameters and which shape is where. The shapes themselves, the
problems, the headers, and who may do what, each come from the place that also decides it.
"""

import functools
import importlib.metadata
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, Reference, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition
from litestar.typing import FieldDefinition

from application.ports.idempotency import IdempotencyKeyReused
from domain.permissions import PERMISSIONS, Rule, Whose
from interfaces.http import shapes
from interfaces.http.call import Call
from interfaces.http.cookies import ACCESS, CSRF
from interfaces.http.entrance import SAFE_METHODS
from interfaces.http.errors import KINDS, PROBLEM_JSON, Problem, ProblemSpec, problem_spec
from interfaces.http.idempotency import MENDABLE
from interfaces.http.openapi import HEADERS, LINKS, PARAMETERS

PREFIX = "/api/v1/"
_DESCRIPTION = """Requests for films and series, with their full history, live.

Problems are RFC 9457 `application/problem+json`; programs look at `type`, people read the rest.
Every answer carries an `X-Correlation-Id`, yours if you sent one; it is on every log line and event
that followed. Commands answer with an `X-Position`: any GET with `?after=` that position shows what
was stored. Unknown fields and parameters are refused. HEAD answers wherever GET does.

Whoever lost the answer to a command sends it again with the same `Idempotency-Key`. Where nobody is
signed in (to sign in, to refresh, to set up) that header means nothing."""
_SECURITY_SCHEMES: dict[str, SecurityScheme | Reference] = {
    "bearer": SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="The `accessToken` of a sign-in.",
    ),
    "apiKey": SecurityScheme(
        type="apiKey",
        security_scheme_in="header",
        name="X-Api-Key",
        description="A key that its owner has made. It needs the scope that stands beside it.",
    ),
    "cookie": SecurityScheme(
        type="apiKey",
        security_scheme_in="cookie",
        name=ACCESS,
        description="Set by a sign-in. Behind TLS its name begins with `__Secure-`.",
    ),
    "csrf": SecurityScheme(
        type="apiKey",
        security_scheme_in="header",
        name="X-Csrf-Token",
        description=f"For changes by cookie: what the cookie `{CSRF}` of the sign-in holds.",
    ),
}
_ALLOWANCE = (
    "RateLimit-Policy",
    "RateLimit",
    "X-Rate-Limit-Limit",
    "X-Rate-Limit-Remaining",
    "X-Rate-Limit-Reset",
)
_OF_STATUS = {
    HTTPStatus.NOT_MODIFIED: "ETag",
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.UPGRADE_REQUIRED: "Upgrade",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After",
}
"""What answers of a status have, whatever the route."""


@functools.cache
def document(routes: tuple[Router, ...]) -> bytes:
    """The OpenAPI document of the routes, as JSON."""
    config = OpenAPIConfig(
        title="MediaNest",
        version=importlib.metadata.version("medianest"),
        description=_DESCRIPTION,
        operation_id_creator=_operation_id,
        use_handler_docstrings=True,
        components=Components(security_schemes=_SECURITY_SCHEMES),
    )
    app = Litestar(routes, openapi_config=config, request_class=Call, logging_config=None)
    schema = app.openapi_schema.to_schema()
    handlers = {_camel(handler.handler_name): handler for handler in _handlers(app)}
    schema["components"] |= {
        "schemas": shapes.components(
            shape for handler in handlers.values() for shape in _shapes(handler)
        ),
        "headers": HEADERS,
        "parameters": PARAMETERS,
    }
    for path, item in schema["paths"].items():
        tag = path.removeprefix(PREFIX).strip("/").partition("/")[0]
        for method, operation in item.items():
            operation["tags"] = [tag]
            handler = handlers[operation["operationId"]]
            _Completion(operation, handler, method.upper()).complete()
    return msgspec.json.encode(schema)


def _operation_id(
    handler: HTTPRouteHandler, method: Method, components: list[str | PathParameterDefinition]
) -> str:
    """The name of the route's function, as JSON spells names."""
    del method, components
    return _camel(handler.handler_name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _handlers(app: Litestar) -> Iterator[HTTPRouteHandler]:
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if handler.resolve_include_in_schema():
                yield handler


def _shapes(handler: HTTPRouteHandler) -> Iterator[type[msgspec.Struct]]:
    """Every struct that the route itself names."""
    yield from _structs(handler.parsed_fn_signature.return_type)
    if handler.parsed_data_field:
        yield from _structs(handler.parsed_data_field)
    yield Problem


def _structs(field: FieldDefinition) -> Iterator[type[msgspec.Struct]]:
    if isinstance(field.annotation, type) and issubclass(field.annotation, msgspec.Struct):
        yield field.annotation
    for inner in field.inner_types:
        yield from _structs(inner)


class _Completion:
    """Says of one operation what Litestar does not know."""

    def __init__(self, operation: dict[str, Any], handler: HTTPRouteHandler, method: str) -> None:
        self._operation = operation
        self._parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
        self._handler = handler
        self._rule: Rule = PERMISSIONS[handler.opt["action"]]
        self._is_safe = method in SAFE_METHODS
        self._takes_key = "security" in operation and not self._is_safe

    def complete(self) -> None:
        """Change the operation in its place."""
        self._operation["description"] = shapes.markdown(self._operation["description"])
        self._tell_success()
        if "security" in self._operation:
            self._tell_who()
        self._tell_limit()
        self._tell_problems()
        self._tell_parameters()
        self._operation["responses"] = dict(sorted(self._responses.items()))
        for status, response in self._responses.items():
            self._tell_headers(int(status), response)
            if int(status) == HTTPStatus.NO_CONTENT:
                del response["content"]  # which Litestar takes for the JSON of None
        if links := LINKS.get(self._operation["operationId"]):
            self._responses[str(self._handler.status_code)]["links"] = {
                name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
                for name, parameter in links.items()
            }

    @property
    def _responses(self) -> dict[str, dict[str, Any]]:
        return self._operation["responses"]

    def _tell_who(self) -> None:
        ways: list[dict[str, list[str]]] = [{"bearer": []}]
        if self._rule.scope is not None:
            ways.append({"apiKey": [self._rule.scope]})
        ways.append({"cookie": []} if self._is_safe else {"cookie": [], "csrf": []})
        self._operation["security"] = ways
        if self._rule.user is Whose.NOBODYS:
            self._add_words("Only for admins.")

    def _tell_success(self) -> None:
        usual = self._responses[str(self._handler.status_code)].get("headers", {})
        for status, response in self._responses.items():
            if status.startswith("2"):  # whichever success it is, it has the same headers
                response.setdefault("headers", usual)
        shapes_of_answer = _structs(self._handler.parsed_fn_signature.return_type)
        words = " Or: ".join(shapes.describe(shape) for shape in shapes_of_answer)
        if words:
            self._responses[str(self._handler.status_code)]["description"] = words

    def _tell_limit(self) -> None:
        if self._rule.policy is not None:
            self._add_words(f"Counts against the limit `{self._rule.policy}`.")

    def _add_words(self, words: str) -> None:
        self._operation["description"] += f"\n\n{words}"

    def _tell_problems(self) -> None:
        specs = {
            status: spec
            for status, spec in (self._handler.responses or {}).items()
            if isinstance(spec, ProblemSpec)
        }
        also: list[type[Exception]] = [IdempotencyKeyReused] if self._takes_key else []
        if any(parameter["in"] == "path" for parameter in self._parameters):
            also.append(NotFoundException)
        for kind in (KINDS[error] for error in also):
            known = specs[kind.status].kinds if kind.status in specs else ()
            specs[kind.status] = problem_spec(*known, kind)
        for status, spec in specs.items():
            self._responses[str(status)] = _problem(status, spec)

    def _tell_parameters(self) -> None:
        names = ["X-Correlation-Id"]
        if "304" in self._responses:
            names.append("If-None-Match")
        if self._takes_key:
            names.append("Idempotency-Key")
        self._parameters += [{"$ref": f"#/components/parameters/{name}"} for name in names]

    def _tell_headers(self, status: int, response: dict[str, Any]) -> None:
        names = ["X-Correlation-Id"]
        if status in _OF_STATUS:
            names.append(_OF_STATUS[HTTPStatus(status)])
        if self._takes_key and status not in MENDABLE and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            names.append("Idempotency-Replayed")
        if self._rule.policy is not None:
            names += _ALLOWANCE
        told: dict[str, dict[str, Any]] = response.get("headers", {})
        response["headers"] = {
            **{name: _header(name, required=header["required"]) for name, header in told.items()},
            **{name: {"$ref": f"#/components/headers/{name}"} for name in names},
        }


def _header(name: str, *, required: bool) -> dict[str, Any]:
    if required:
        return {"$ref": f"#/components/headers/{name}"}
    return HEADERS[name] | {"required": False}


def _problem(status: int, spec: ProblemSpec) -> dict[str, Any]:
    narrowed = {
        "properties": {
            "type": {"enum": [kind.type for kind in spec.kinds]},
            "status": {"const": status},
        }
    }
    problem = {"$ref": shapes.REFERENCE.format(name=Problem.__name__)}
    return {
        "description": spec.description,
        "content": {PROBLEM_JSON: {"schema": {"allOf": [problem, narrowed]}}},
    }
