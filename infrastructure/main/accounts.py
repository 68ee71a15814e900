"""The accounts commands: what an operator does beside what admins do over HTTP."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from application.accounts import Profile
from application.execute import Context
from domain.accounts import Role, UnknownAccount
from infrastructure.compose import UseCases, new_id, open_use_cases
from infrastructure.database import Database, open_database
from infrastructure.settings import Settings
from interfaces.cli.main import AccountChange
from projections.accounts import AccountQueries

PAGE = 500


async def add(settings: Settings, email: str, password: str, role: Role) -> UUID:
    """Open an account; its id."""
    async with _opened(settings) as (_, use_cases):
        return await use_cases.accounts.open_account(email, password, role, _context())


async def list_all(settings: Settings) -> Sequence[Profile]:
    """Everybody who has an account, newest first."""
    async with _opened(settings) as (database, use_cases):
        queries = AccountQueries(database.pool)
        profiles: list[Profile] = []
        before = None
        while rows := await queries.page(None, None, before=before, limit=PAGE):
            before = rows[-1].opened_position
            sealed = [
                (row.id, field, text)
                for row in rows
                for field, text in (("email", row.email), ("name", row.name))
                if text is not None
            ]
            revealed = await use_cases.secrets.vault.reveal_all(sealed)
            texts = {item[:2]: text for item, text in zip(sealed, revealed, strict=True)}
            profiles += [
                Profile(
                    row.id,
                    row.role,
                    row.state,
                    texts.get((row.id, "email")),
                    texts.get((row.id, "name")),
                )
                for row in rows
            ]
        return profiles


async def change(settings: Settings, email: str, change: AccountChange) -> Profile:
    """Carry out ``change`` on the account of an e-mail address. Raises UnknownAccount."""
    async with _opened(settings) as (_, use_cases):
        identity = use_cases.identities.of_email(email)
        account_id = await use_cases.identities.holder(identity)
        if account_id is None:
            raise UnknownAccount
        accounts, context = use_cases.accounts, _context()
        match change:
            case AccountChange.GRANT_ADMIN:
                changed = await accounts.grant(account_id, Role.ADMIN, context)
            case AccountChange.GRANT_USER:
                changed = await accounts.grant(account_id, Role.USER, context)
            case AccountChange.SUSPEND:
                changed = await accounts.suspend(account_id, context)
            case AccountChange.RESTORE:
                changed = await accounts.restore(account_id, context)
        return changed.state


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[tuple[Database, UseCases]]:
    async with (
        open_database(settings, "accounts", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
    ):
        yield database, use_cases


def _context() -> Context:
    command_id = new_id()
    return Context("system:cli", str(command_id), command_id)
