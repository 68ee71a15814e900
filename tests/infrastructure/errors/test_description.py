import tokenize
from collections.abc import Callable
from types import ModuleType

import pytest

from infrastructure.errors.description import (
    MOST_FRAMES,
    MOST_LEAVES,
    Identity,
    frames_of,
    identify,
    leaves_of,
    message_with_causes,
)

CODE = """
def outer(depth=0):
    if depth:
        return outer(depth - 1)
    return Worker().divide()

class Worker:
    def divide(self):
        return int("x")
"""


def caught(run: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the caller looks at what it was
        run()
    return raised.value


def module(source: str, name: str = "domain.tested") -> ModuleType:
    made = ModuleType(name)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


def test_an_error_is_told_by_its_type_and_our_innermost_function() -> None:
    error = caught(module(CODE).outer)
    assert identify(error) == Identity("ValueError", "domain.tested:Worker.divide")
    assert frames_of(error) == ("domain.tested:outer:5", "domain.tested:Worker.divide:9")


def test_what_a_library_raises_for_us_belongs_to_our_function() -> None:
    library = module("def call(run): run()\ndef fail(): raise LookupError", "somebody.else")
    ours = module("def ask(library): library.fail()")
    error = caught(lambda: library.call(lambda: ours.ask(library)))
    assert identify(error).place == "domain.tested:ask"
    assert frames_of(error) == ("domain.tested:ask:1",)


def test_without_any_function_of_ours_the_innermost_one_tells() -> None:
    error = caught(module("def fail(): raise LookupError", "somebody.else").fail)
    assert identify(error).place == "somebody.else:fail"
    assert frames_of(error) == ()
    assert identify(LookupError()).place == ""


def test_an_edit_above_does_not_make_a_new_error_of_an_old_one() -> None:
    before, after = caught(module(CODE).outer), caught(module(f"\n\n{CODE}").outer)
    assert frames_of(before) != frames_of(after)
    assert identify(before).fingerprint == identify(after).fingerprint


def test_other_places_and_other_types_are_other_errors() -> None:
    errors = [
        caught(module(f"def {function}(): {body}", name).__dict__[function])
        for name in ("domain.tested", "domain.other")
        for function in ("run", "walk")
        for body in ("1 / 0", "int('x')")
    ]
    assert len({identify(error).fingerprint for error in errors}) == len(errors)


def test_of_a_recursion_the_innermost_frames_are_kept() -> None:
    error = caught(lambda: module(CODE).outer(100))
    assert len(frames_of(error)) == MOST_FRAMES
    assert frames_of(error)[-1] == "domain.tested:Worker.divide:9"


def test_types_outside_of_the_language_have_their_module() -> None:
    assert identify(tokenize.TokenError()).kind == "tokenize.TokenError"


def test_a_message_tells_what_it_was_raised_from() -> None:
    def fail() -> None:
        try:
            int("hunter2")
        except ValueError as error:
            raise LookupError("nothing there") from error

    assert message_with_causes(caught(fail)) == (
        "nothing there ← ValueError: invalid literal for int() with base 10: “…”"
    )


def test_a_chain_of_causes_that_never_ends_is_cut() -> None:
    one, two = LookupError("one"), LookupError("two")
    one.__cause__, two.__cause__ = two, one
    assert message_with_causes(one).count("←") == 3


def test_a_group_is_the_errors_that_it_holds() -> None:
    one, two, three = ValueError(), LookupError(), OSError()
    group = ExceptionGroup("all", [one, ExceptionGroup("some", [two, three])])
    assert list(leaves_of(group)) == [one, two, three]
    assert list(leaves_of(one)) == [one]
    many = ExceptionGroup("all", [ValueError() for _ in range(100)])
    assert len(list(leaves_of(many))) == MOST_LEAVES
