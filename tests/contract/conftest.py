"""One MediaNest for all examinations; each founds a town of its own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.contract.people import SECRET_KEY, WEBHOOK_SECRET
from tests.running import Running, medianest


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    path: Path = tmp_path_factory.mktemp("contract")
    environment = {
        "MEDIANEST_SECRET_KEY": SECRET_KEY,
        "MEDIANEST_OVERSEERR_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    async with medianest(path, environment=environment) as started:
        yield started
