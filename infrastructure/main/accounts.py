"""The accounts commands."""

from uuid import UUID

from application.execute import Context
from domain.accounts import Role
from infrastructure.compose import new_id, open_use_cases
from infrastructure.database import open_database
from infrastructure.settings import Settings


async def add(settings: Settings, email: str, password: str, role: Role) -> UUID:
    """Open an account; its id."""
    async with (
        open_database(settings, "accounts", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        command_id = new_id()
        context = Context("system:cli", str(command_id), command_id)
        return await use_cases.accounts.open_account(email, password, role, context)
