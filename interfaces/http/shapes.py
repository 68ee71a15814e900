"""The JSON schemas of what goes in and comes out, from msgspec, which also reads and writes it.

So a schema says what is refused in every detail. What only the whole of an object can show stands
in ``RULES`` of its struct, as JSON Schema says it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc
from typing import Any, cast

import msgspec
from msgspec import inspect

REFERENCE = "#/components/schemas/{name}"

_CODE = re.compile(r"``([^`]+)``")
_SNAKE = re.compile(r"_([a-z])")


def describe(shape: type[msgspec.Struct]) -> str:
    """The docstring of a struct, as Markdown."""
    return markdown(shape.__doc__ or "")


def components(shapes: Iterable[Any]) -> dict[str, Any]:
    """The schemas of structs, and of all that is in them, by name."""
    shapes = list(dict.fromkeys(shapes))
    _, defined = msgspec.json.schema_components(shapes, ref_template=REFERENCE)
    for info in _named(inspect.multi_type_info(shapes), set()):
        schema = defined[info.cls.__name__]
        if info.cls.__doc__:
            schema["description"] = markdown(info.cls.__doc__)
        if isinstance(info, inspect.EnumType):
            schema["type"] = "string"
        else:
            _complete(schema, info)
    return defined


def markdown(docstring: str) -> str:
    """A docstring as Markdown, with fields named as JSON names them."""
    return _CODE.sub(lambda code: f"`{_camel(code[1])}`", cleandoc(docstring))


def parameters(query: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The schema of each field of a query struct: a query string has no null and no references."""
    defined = components([query])
    properties = cast("dict[str, dict[str, Any]]", defined[query.__name__]["properties"])
    return {name: _present(schema, defined) for name, schema in properties.items()}


def _present(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> dict[str, Any]:
    arms = [arm for arm in schema.get("anyOf", [schema]) if arm.get("type") != "null"]
    (present,) = (_referred(arm, defined) for arm in arms)
    default = schema.get("default")
    return {**present, **({} if default is None else {"default": default})}


def _referred(schema: dict[str, Any], defined: Mapping[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else defined[reference.rpartition("/")[2]]


def _named(
    infos: Iterable[inspect.Type], seen: set[type]
) -> Iterator[inspect.StructType | inspect.EnumType]:
    """Every struct and enumeration in ``infos``, however deep, once."""
    for info in infos:
        match info:
            case inspect.StructType() | inspect.EnumType() if info.cls in seen:
                pass
            case inspect.StructType():
                seen.add(info.cls)
                yield info
                yield from _named((field.type for field in info.fields), seen)
            case inspect.EnumType():
                seen.add(info.cls)
                yield info
            case inspect.UnionType(types=arms):
                yield from _named(arms, seen)
            case inspect.Metadata(type=bare):
                yield from _named([bare], seen)
            case inspect.CollectionType(item_type=item) | inspect.VarTupleType(item_type=item):
                yield from _named([item], seen)
            case _:
                pass


def _complete(schema: dict[str, Any], info: inspect.StructType) -> None:
    properties: dict[str, dict[str, Any]] = schema["properties"]
    for field in info.fields:
        _mark_time(properties[field.encode_name], field.type)
    if not info.forbid_unknown_fields:  # it is an answer, where a default stands as well
        schema["required"] = [
            field.encode_name
            for field in info.fields
            if field.required or "default" in properties[field.encode_name]
        ]
        for described in properties.values():
            described.pop("default", None)
    schema.update(getattr(info.cls, "RULES", {}))


def _mark_time(schema: dict[str, Any], info: inspect.Type) -> None:
    """Tell that a text is a time, as msgspec does not where it may lack an offset; ours do not."""
    if isinstance(info, inspect.DateTimeType):
        schema["format"] = "date-time"
    elif isinstance(info, inspect.UnionType):
        texts = [arm for arm in schema["anyOf"] if arm == {"type": "string"}]
        times = [arm for arm in info.types if isinstance(arm, inspect.DateTimeType)]
        for text, time in zip(texts, times, strict=False):
            _mark_time(text, time)


def _camel(name: str) -> str:
    return _SNAKE.sub(lambda letter: letter[1].upper(), name)
