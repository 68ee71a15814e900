"""A stand-in of a Plex server, and what its answers have in common with those of plex.tv.

Source: developer.plex.tv/pms. Without ``Accept: application/json`` both answer in XML.
"""

import secrets
from http.client import responses
from typing import Any, TypeAlias, cast
from xml.etree.ElementTree import Element, tostring

import msgspec

from infrastructure.stand_ins.http import (
    MethodNotAllowed,
    NotFound,
    Request,
    Response,
    find_route,
    json_response,
    route,
)
from infrastructure.stand_ins.plex_library import MOST_AT_ONCE, SECTIONS, PlexLibrary, ToShelve
from infrastructure.stand_ins.stand_in import StandIn

MACHINE_IDENTIFIER = "5ca1ab1e" * 5
VERSION = "1.42.1.10060-4e8b05daf"
OWNER_TOKEN = "stand-in-plex-owner"  # noqa: S105 -- it opens nothing but stand-ins

PlexData: TypeAlias = dict[str, Any] | list[dict[str, Any]]


class PlexStandIn(StandIn):
    """Needs ``X-Plex-Token: <OWNER_TOKEN>``, in the header or the query, except for ``/identity``.

    Its people and their shares are kept by plex.tv, and so by the stand-in of plex.tv.
    """

    name = "plex"
    title = "Stand-in"
    token = OWNER_TOKEN

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.machine_identifier = MACHINE_IDENTIFIER
        self.library = PlexLibrary()
        self._routes = (
            route("GET", "/", self._root),
            route("GET", "/identity", self._identity),
            route("GET", "/library/sections", self._sections),
            route("GET", "/library/sections/{key}/all", self._section),
            route("GET", "/library/metadata/{key}", self._item),
            route("GET", "/library/metadata/{key}/allLeaves", self._leaves),
        )

    def reinstall(self) -> None:
        """Begin anew under another identifier, claimed by the same owner, with empty shelves."""
        self.machine_identifier = secrets.token_hex(20)
        self.library = PlexLibrary()

    def steer(self, method: str, what: str, body: bytes) -> Response | None:
        """Put titles on the shelf, or where a scan will find them, or scan."""
        match method, what:
            case "PUT", "shelf":
                for wanted in msgspec.json.decode(body, type=list[ToShelve]):
                    self.library.shelve(wanted)
            case "PUT", "folder":
                self.library.waiting += msgspec.json.decode(body, type=list[ToShelve])
            case "POST", "scan":
                self.library.scan()
            case _:
                return None
        return Response(204)

    def respond(self, request: Request) -> Response:
        """The server's answer."""
        if request.path != "/identity" and plex_parameter(request, "X-Plex-Token") != OWNER_TOKEN:
            return self.error(401)
        try:
            found, parameters = find_route(self._routes, request.method, request.path)
        except (NotFound, MethodNotAllowed):
            return self.error(404)
        return found.answer(request, *parameters)

    def error(self, status: int) -> Response:
        """An HTML page, whatever the caller accepts."""
        reason = responses.get(status, "Error")
        page = f"<html><head><title>{reason}</title></head><body><h1>{status} {reason}</h1></body>"
        return Response(status, f"{page}</html>".encode(), {"Content-Type": "text/html"})

    def clear(self) -> None:
        """The server is the first one again."""
        self.machine_identifier = MACHINE_IDENTIFIER
        self.library = PlexLibrary()

    def _root(self, request: Request) -> Response:
        return _container(
            request,
            {
                "size": 0,
                "claimed": True,
                "friendlyName": self.title,
                "machineIdentifier": self.machine_identifier,
                "myPlex": True,
                "version": VERSION,
            },
        )

    def _sections(self, request: Request) -> Response:
        found = [section.data() for section in SECTIONS]
        return self._listing(request, {"size": len(found), "Directory": found})

    def _section(self, request: Request, key: str) -> Response:
        if all(section.key != key for section in SECTIONS):
            return self.error(404)
        start = plex_parameter(request, "X-Plex-Container-Start") or "0"
        size = plex_parameter(request, "X-Plex-Container-Size") or str(MOST_AT_ONCE)
        page = self.library.list_section(
            key,
            newest_first=request.query.get("sort") == "updatedAt:desc",
            start=int(start),
            size=int(size),
            with_guids=request.query.get("includeGuids") == "1",
        )
        return self._listing(request, page)

    def _item(self, request: Request, key: str) -> Response:
        item = self.library.items.get(int(key)) if key.isdecimal() else None
        if item is None:
            return self.error(404)
        return self._listing(request, {"size": 1, "Metadata": [item.data(with_guids=True)]})

    def _leaves(self, request: Request, key: str) -> Response:
        item = self.library.items.get(int(key)) if key.isdecimal() else None
        if item is None:
            return self.error(404)
        leaves = item.leaves()
        return self._listing(request, {"size": len(leaves), "Metadata": leaves})

    def _listing(self, request: Request, data: dict[str, Any]) -> Response:
        """Lists are stood in for in JSON only."""
        return _container(request, data) if accepts_json(request) else self.error(406)

    def _identity(self, request: Request) -> Response:
        identity = {"machineIdentifier": self.machine_identifier, "version": VERSION}
        return _container(request, {"size": 0, "claimed": True, **identity})


def plex_parameter(request: Request, name: str) -> str | None:
    """What Plex takes from a header, or from the query where there is no such header."""
    return request.headers.get(name.lower(), request.query.get(name))


def accepts_json(request: Request) -> bool:
    """Whether the answer is to be JSON."""
    return "application/json" in request.headers.get("accept", "")


def xml_response(status: int, tag: str, data: PlexData) -> Response:
    """``data`` in Plex's XML: fields are attributes, what has fields of its own is an element.

    The items of ``<resources>`` are ``<resource>``.
    """
    body = tostring(_element(tag, data), encoding="utf-8", xml_declaration=True)
    return Response(status, body, {"Content-Type": "application/xml; charset=utf-8"})


def _container(request: Request, data: dict[str, Any]) -> Response:
    if accepts_json(request):
        return json_response(200, {"MediaContainer": data})
    return xml_response(200, "MediaContainer", data)


def _element(tag: str, data: PlexData) -> Element:
    element = Element(tag)
    if isinstance(data, list):
        element.extend(_element(tag.removesuffix("s"), item) for item in data)
        return element
    for key, value in data.items():
        if isinstance(value, dict | list):
            element.append(_element(key, cast("PlexData", value)))
        elif isinstance(value, bool):
            element.set(key, str(int(value)))
        else:
            element.set(key, "" if value is None else str(value))
    return element
