"""``given(decider, events).when(command).then(events)``: a decider's test on values."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import pytest

from domain.kernel import Decider, DomainError, Event

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class _When(Generic[C, S, E]):
    def __init__(self, decider: Decider[C, S, E], state: S | None, command: C) -> None:
        self._decider = decider
        self._state = state
        self._command = command

    def then(self, *expected: E) -> None:
        assert self._decider.decide(self._command, self._state) == list(expected)

    def then_nothing(self) -> None:
        self.then()

    def then_refused(self, refusal: type[DomainError], match: str | None = None) -> None:
        with pytest.raises(refusal, match=match):
            self._decider.decide(self._command, self._state)


class _Given(Generic[C, S, E]):
    def __init__(self, decider: Decider[C, S, E], events: Sequence[E]) -> None:
        self._decider = decider
        self._state = decider.fold(events)

    def when(self, command: C) -> _When[C, S, E]:
        return _When(self._decider, self._state, command)


def given(decider: Decider[C, S, E], *events: Any) -> _Given[C, S, E]:
    return _Given(decider, events)
