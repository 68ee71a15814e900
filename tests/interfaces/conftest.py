"""A house of its own for each test, and the people in it."""

from collections.abc import Generator

import pytest

from domain.accounts import Role
from infrastructure.errors.noting import noting
from tests.interfaces.house import House, Person


@pytest.fixture
def house() -> Generator[House]:
    house = House()
    with noting(house.errors.note):
        yield house


@pytest.fixture
async def alice(house: House) -> Person:
    return await house.person("alice@example.org")


@pytest.fixture
async def bob(house: House) -> Person:
    return await house.person("bob@example.org")


@pytest.fixture
async def admin(house: House) -> Person:
    return await house.person("admin@example.org", Role.ADMIN)
