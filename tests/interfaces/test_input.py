import json
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from domain.media_requests import MediaType, RequestStatus
from interfaces.http.media_requests import ListQuery, MediaWish
from interfaces.input import MAX_ERRORS, Invalid, MalformedJson, read_json, read_query


class Inner(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    owner_id: UUID
    is_open: bool = False


class Outer(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    inner: Inner
    page_numbers: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(max_length=3)] = ()
    kind: MediaType | None = None


def faults(text: str | bytes, shape: type[msgspec.Struct] = Outer) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        read_json(text, shape)
    return {error.field: error.message for error in refused.value.errors}


def test_every_wrong_field_is_named_as_the_client_wrote_it() -> None:
    body = {
        "inner": {"ownerId": "me", "isOpen": 1, "is_open": True},
        "pageNumbers": [1, 0, "2"],
        "kind": "vinyl",
        "extra": None,
    }
    assert faults(json.dumps(body)) == {
        "inner.ownerId": "Must be a UUID.",
        "inner.isOpen": "Must be true or false.",
        "inner.is_open": "Is not known here.",
        "pageNumbers[1]": "Must be a whole number, at least 1.",
        "pageNumbers[2]": "Must be a whole number, at least 1.",
        "kind": "Must be one of: movie, tv.",
        "extra": "Is not known here.",
    }


def test_what_is_missing_is_named() -> None:
    assert faults("{}") == {"inner": "Is required."}
    assert faults('{"inner": {}}') == {"inner.ownerId": "Is required."}


def test_a_list_that_is_too_long_is_named_as_a_whole() -> None:
    body = {"inner": {"ownerId": str(UUID(int=1))}, "pageNumbers": [1, 2, 3, 4]}
    assert faults(json.dumps(body)) == {
        "pageNumbers": "Must be a list, at most 3 items, each a whole number, at least 1."
    }


@pytest.mark.parametrize("text", ["[]", '"text"', "1", "null", "true"])
def test_a_body_that_is_no_object_is_told_so(text: str) -> None:
    assert faults(text) == {"": "Must be a JSON object."}


def test_json_is_read_strictly_and_a_query_string_is_not() -> None:
    assert "tmdbId" in faults('{"mediaType": "movie", "tmdbId": "603"}', MediaWish)
    assert read_query([("limit", "5")], ListQuery).limit == 5


@pytest.mark.parametrize("number", ["603.0", "6.03e2", "603"])
def test_a_whole_number_may_be_written_with_a_point(number: str) -> None:
    """JSON Schema, in which our document tells what is taken, knows no difference."""
    body = f'{{"mediaType": "movie", "tmdbId": {number}, "seasons": null}}'
    assert read_json(body, MediaWish).tmdb_id == 603
    assert "tmdbId" in faults(body.replace(number, "603.5"), MediaWish)


@pytest.mark.parametrize("depth", [10, 500, 990, 2_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_however_deep_it_is_nested_it_is_refused(opening: str, closing: str, depth: int) -> None:
    body = f'{{"title": {opening * depth}1{closing * depth}}}'
    with pytest.raises((Invalid, MalformedJson)):
        read_json(body, MediaWish)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "It ends too early."),
        (b'{"a": 1,}', "It is malformed at byte 8."),
        (b'{"a": "\xff"}', "It is not UTF-8."),
        (b"[" * 20_000, "It is nested too deeply."),
        (b'{"inner": 1e999}', "A number is too large."),
        (b'{"inner": 1} ]', "It is malformed at byte 14."),
    ],
)
def test_malformed_json_is_told_apart_and_says_where(text: bytes, message: str) -> None:
    with pytest.raises(MalformedJson, match=message):
        read_json(text, Outer)


def test_a_flood_of_faults_is_cut() -> None:
    body = {"inner": {"ownerId": str(UUID(int=1))}, "pageNumbers": ["no"] * 10_000}
    assert len(faults(json.dumps(body))) == MAX_ERRORS


def test_every_wrong_query_parameter_is_named() -> None:
    pairs = [("limit", "0"), ("status", "lost"), ("page", "2"), ("cursor", "a"), ("cursor", "b")]
    with pytest.raises(Invalid) as refused:
        read_query(pairs, ListQuery)
    assert {error.field: error.message for error in refused.value.errors} == {
        "limit": "Must be a whole number, 1 to 100.",
        "status": f"Must be one of: {', '.join(RequestStatus)}.",
        "page": "Is not known here.",
        "cursor": "Must be given only once.",
    }


@pytest.mark.parametrize("text", ["null", "NULL"])
def test_a_query_string_has_no_null(text: str) -> None:
    pairs = [(name, text) for name in ("status", "after", "cursor", "limit")]
    with pytest.raises(Invalid) as refused:
        read_query(pairs, ListQuery)
    assert {error.field: error.message for error in refused.value.errors} == {
        "status": f"Must be one of: {', '.join(RequestStatus)}.",
        "after": "Must be a whole number, 0 to 9223372036854775807.",
        "cursor": "Must be the nextCursor of a page.",
        "limit": "Must be a whole number, 1 to 100.",
    }


def test_a_text_of_a_query_string_may_be_null() -> None:
    class Search(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
        title: str
        max_year: int | None = None
        page: int = 1

    assert read_query([("title", "null"), ("page", "2")], Search) == Search("null", page=2)


def test_a_repeated_parameter_is_refused_even_when_each_value_is_right() -> None:
    with pytest.raises(Invalid) as refused:
        read_query([("limit", "5"), ("limit", "6")], ListQuery)
    assert [error.field for error in refused.value.errors] == ["limit"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mediaType", "tmdbId", "seasons", "note", "x"]), inner)
    ),
    max_leaves=12,
)


@given(anything)
def test_whatever_json_comes_it_is_read_or_refused_with_a_reason(value: Any) -> None:
    reasons = ["read"]
    try:
        read_json(json.dumps(value), MediaWish)
    except Invalid as refused:
        reasons = [error.message for error in refused.errors]
    except MalformedJson as refused:  # json.dumps writes NaN and Infinity, which are not JSON
        reasons = [str(refused)]
    assert reasons
    assert all(reasons)
    assert "`" not in "".join(reasons)  # as msgspec writes its own


@given(st.binary(max_size=40))
def test_whatever_bytes_come_they_are_read_or_refused(text: bytes) -> None:
    with pytest.raises((Invalid, MalformedJson)):
        read_json(text, MediaWish)
