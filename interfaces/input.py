"""Reading what people send, strictly, and telling them everything that is wrong with it at once.

msgspec stops at the first fault. So what it accepts costs one decode, and only what it refuses is
walked a second time, field by field.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, TypeVar, cast, get_args, get_type_hints

import msgspec
from msgspec import inspect

S = TypeVar("S", bound=msgspec.Struct)

NO_NUL = r"^[^\x00]*$"
"""The pattern of every text that is stored: PostgreSQL has no NUL character."""
_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a time with its offset, such as 2026-05-01T12:00:00Z",
    inspect.UUIDType: "a UUID",
}
MAX_ERRORS = 50
"""Enough for any form; a body of ten thousand faults is not answered with ten thousand lines."""

_TOO_DEEP = "It is nested too deeply."
_BYTE = re.compile(r"\(byte (\d+)\)")


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field, named as the client wrote it, such as ``seasons[1]``."""

    field: str
    message: str


class MalformedJson(Exception):
    """The text is not JSON."""


class Invalid(Exception):
    """One field or more is wrong."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        wrong = len(self.errors)
        super().__init__(f"{wrong} fields are wrong." if wrong > 1 else "One field is wrong.")


def read_json(text: bytes | str, shape: type[S]) -> S:
    """The struct that ``text`` holds. Raises MalformedJson or Invalid."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError:
        return _read_value(_parse(text), shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _parse(text)
        raise


def _read_value(value: Any, shape: type[S]) -> S:
    try:
        return msgspec.convert(_with_whole_numbers(value), shape)
    except RecursionError:
        raise MalformedJson(_TOO_DEEP) from None
    except msgspec.ValidationError as refused:
        errors = tuple(islice(_explain(shape, value, "", strict=True), MAX_ERRORS))
        # A fault that the walk does not see is named by msgspec itself rather than not at all.
        raise Invalid(errors or [FieldError("", str(refused))]) from None


def _with_whole_numbers(value: Any) -> Any:
    """The value with 1.0 as 1: to JSON Schema, and to many a JSON writer, they are the same."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_whole_numbers(item) for item in cast("list[Any]", value)]
        case dict():
            fields = cast("dict[str, Any]", value)
            return {name: _with_whole_numbers(item) for name, item in fields.items()}
        case _:
            return value


def read_query(pairs: Iterable[tuple[str, str]], shape: type[S]) -> S:
    """The struct that the pairs of a query string make up. Raises Invalid."""
    values: dict[str, str] = {}
    repeated: list[FieldError] = []
    for name, value in pairs:
        if name in values:
            repeated.append(FieldError(name, "Must be given only once."))
        values[name] = value
    try:
        query = _read_texts(values, shape)
    except msgspec.ValidationError as refused:
        errors = (*_explain(shape, values, "", strict=False), *repeated)
        raise Invalid(errors[:MAX_ERRORS] or [FieldError("", str(refused))]) from None
    if repeated:
        raise Invalid(repeated)
    return query


def _read_texts(values: Mapping[str, str], shape: type[S]) -> S:
    if not any(value.lower() == "null" for value in values.values()):
        return msgspec.convert(values, shape, strict=False)
    # A query string has no null, which msgspec would take the text for.
    given = msgspec.convert(values, _without_null(shape), strict=False)
    return shape(**{name: getattr(given, name) for name in given.__struct_fields__})


@cache
def _without_null(shape: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct like ``shape`` whose fields cannot be null, though their defaults may."""
    hints = get_type_hints(shape, include_extras=True)
    fields = msgspec.structs.fields(shape)
    return msgspec.defstruct(
        shape.__name__,
        [(field.name, _present(hints[field.name]), field.default) for field in fields],
        rename={field.name: field.encode_name for field in fields},
        forbid_unknown_fields=True,
        kw_only=True,  # a field that must be given may come after others
    )


def _present(hint: Any) -> Any:
    """The annotation without ``None``."""
    if not isinstance(_bare(inspect.type_info(hint)), inspect.UnionType):
        return hint
    (present,) = (arm for arm in get_args(_unannotated(hint)) if arm is not type(None))
    return present


def _parse(text: bytes | str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        raise MalformedJson("A number is too large.") from None
    except msgspec.DecodeError as refused:
        place = _BYTE.search(str(refused))
        where = f"It is malformed at byte {place[1]}." if place else "It ends too early."
        raise MalformedJson(where) from None
    except UnicodeDecodeError:
        raise MalformedJson("It is not UTF-8.") from None
    except RecursionError:
        raise MalformedJson(_TOO_DEEP) from None


def _explain(hint: Any, value: Any, path: str, *, strict: bool) -> Iterator[FieldError]:
    """Every fault of ``value``, which shall be of the type that the annotation ``hint`` says."""
    whole = inspect.type_info(hint)
    union = _bare(whole)
    if isinstance(union, inspect.UnionType):
        if value is None and union.includes_none:
            return
        if len(union.types) - union.includes_none > 1:
            yield from _explain_choice(union, value, path, strict=strict)
            return
        hint = _present(hint)
        whole = inspect.type_info(hint)
    info = _bare(whole)
    if isinstance(info, inspect.StructType) and isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        yield from _explain_fields(info, fields, path, strict=strict)
        return
    if isinstance(info, inspect.VarTupleType) and isinstance(value, list):
        items = tuple(_explain_items(hint, cast("list[Any]", value), path, strict=strict))
        if items:
            yield from items
            return
    try:
        msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError:
        yield FieldError(path, f"Must be {_words(whole) or _describe(info)}.")


def _explain_choice(
    union: inspect.UnionType, value: Any, path: str, *, strict: bool
) -> Iterator[FieldError]:
    """Every fault of what shall be one of several structs, which a tag tells apart."""
    arms = {arm.tag: arm for arm in union.types if isinstance(arm, inspect.StructType)}
    if not isinstance(value, Mapping):
        yield FieldError(path, "Must be a JSON object.")
        return
    fields = dict(cast("Mapping[str, Any]", value))
    (name,) = {arm.tag_field for arm in arms.values()}
    tag = fields.pop(str(name), None)
    if isinstance(tag, str) and tag in arms:
        yield from _explain_fields(arms[tag], fields, path, strict=strict)
    else:
        yield FieldError(f"{path}.{name}", f"Must be one of: {', '.join(map(str, arms))}.")


def _explain_fields(
    info: inspect.StructType, value: Mapping[str, Any], path: str, *, strict: bool
) -> Iterator[FieldError]:
    hints = get_type_hints(info.cls, include_extras=True)
    prefix = f"{path}." if path else ""
    for field in info.fields:
        if field.encode_name in value:
            yield from _explain(
                hints[field.name],
                value[field.encode_name],
                prefix + field.encode_name,
                strict=strict,
            )
        elif field.required:
            yield FieldError(prefix + field.encode_name, "Is required.")
    if not info.forbid_unknown_fields:
        return
    for name in sorted(value.keys() - {field.encode_name for field in info.fields}):
        yield FieldError(prefix + name, "Is not known here.")


def _explain_items(
    hint: Any, values: list[Any], path: str, *, strict: bool
) -> Iterator[FieldError]:
    item = get_args(_unannotated(hint))[0]
    for number, value in enumerate(values):
        yield from _explain(item, value, f"{path}[{number}]", strict=strict)


def _bare(info: inspect.Type) -> inspect.Type:
    return info.type if isinstance(info, inspect.Metadata) else info


def _unannotated(hint: Any) -> Any:
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _words(info: inspect.Type) -> str | None:
    """The words that the annotation itself has, where a pattern would tell a person nothing."""
    extra: dict[str, str] | None = cast("Any", info).extra if _is_annotated(info) else None
    return extra.get("words") if extra else None


def _is_annotated(info: inspect.Type) -> bool:
    return isinstance(info, inspect.Metadata)


def _describe(info: inspect.Type) -> str:
    """The type in a person's words, fit to follow "must be"."""
    match info:
        case inspect.IntType(ge=least, le=most):
            return f"a whole number{_range(least, most)}"
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            clean = ", without NUL characters" if pattern == NO_NUL else ""
            return f"a text{_range(least, most, ' characters')}{clean}"
        case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            return f"a list{_range(least, most, ' items')}, each {_describe(_bare(item))}"
        case inspect.EnumType(cls=cls):
            return f"one of: {', '.join(str(member.value) for member in cls)}"
        case _:
            return _PLAIN.get(type(info), "a JSON object")


def _range(least: int | None, most: int | None, unit: str = "") -> str:
    match least, most:
        case None, None:
            return ""
        case None, _:
            return f", at most {most}{unit}"
        case _, None:
            return f", at least {least}{unit}"
        case _:
            return f", {least} to {most}{unit}"
