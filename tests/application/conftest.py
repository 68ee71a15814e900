"""Everything about people, of its own for each test."""

import pytest

from tests.people import People


@pytest.fixture
def people() -> People:
    return People()
