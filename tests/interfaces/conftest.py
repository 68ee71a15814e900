"""A house of its own for each test, and the people in it."""

import pytest

from domain.accounts import Role
from tests.interfaces.house import House, Person


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def alice(house: House) -> Person:
    return await house.person("alice@example.org")


@pytest.fixture
async def bob(house: House) -> Person:
    return await house.person("bob@example.org")


@pytest.fixture
async def admin(house: House) -> Person:
    return await house.person("admin@example.org", Role.ADMIN)
