"""The first admin: made with a token that the operator alone has seen."""

from uuid import UUID

from application.accounts import Accounts
from application.execute import Context, Executor
from application.ports import Ids, OpaqueTokens
from domain.accounts import Role
from domain.installation import (
    INSTALLATION,
    OfferSetup,
    UseSetup,
    WrongSetupToken,
    installation,
)


class Setup:
    """The use cases of an installation that has no admin."""

    def __init__(
        self, executor: Executor, accounts: Accounts, tokens: OpaqueTokens, ids: Ids
    ) -> None:
        self._executor = executor
        self._accounts = accounts
        self._tokens = tokens
        self._ids = ids

    async def offer(self, context: Context) -> str | None:
        """A token that makes the first admin, for any before it; ``None`` when there is one."""
        token = self._tokens.make(INSTALLATION)
        command = OfferSetup(token.digest)
        offered = await self._executor.execute(installation, INSTALLATION, command, context)
        return None if offered.state.closed else token.token

    async def use(self, token: str, email: str, password: str, context: Context) -> UUID:
        """Open the first admin's account; its id.

        Whoever was cut off may do it again. Raises WrongSetupToken, AccountExists or HasherBusy.
        """
        shown = self._tokens.read(token)
        if shown is None:
            raise WrongSetupToken
        command = UseSetup(shown.digest, self._ids())
        step = context.step("use set-up")
        used = await self._executor.execute(installation, INSTALLATION, command, step)
        return await self._accounts.open_account(
            email, password, Role.ADMIN, context, as_=used.state.account_id
        )
