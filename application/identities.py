"""Who signs in by which e-mail address or Plex account."""

from uuid import UUID

from application.execute import Context, Executor
from application.ports import Pseudonym
from domain.identities import ClaimIdentity, ReleaseIdentity, identities


class Identities:
    """Finds and claims what people sign in by; nothing that is stored tells whose it is."""

    def __init__(self, executor: Executor, pseudonym: Pseudonym) -> None:
        self._executor = executor
        self._pseudonym = pseudonym

    def of_email(self, email: str) -> UUID:
        """The identity of an e-mail address, whatever its case."""
        return self._pseudonym("email", email.strip().casefold())

    def of_plex(self, plex_id: int) -> UUID:
        """The identity of a Plex account."""
        return self._pseudonym("plex", str(plex_id))

    async def holder(self, identity: UUID) -> UUID | None:
        """The account it belongs to, which may not be open yet; ``None`` when it is free."""
        found = await self._executor.state(identities, identity)
        return found and found.account_id

    async def claim(self, identity: UUID, account_id: UUID, context: Context) -> UUID:
        """Take it for the account if it is free; whose it is then.

        Whoever finds it held by an account that was never opened goes on where somebody was cut
        off, and opens that account.
        """
        command = ClaimIdentity(account_id)
        claimed = await self._executor.execute(identities, identity, command, context)
        return claimed.state.account_id or account_id

    async def release(self, identity: UUID, account_id: UUID, context: Context) -> None:
        """Give it back."""
        command = ReleaseIdentity(account_id)
        if await self.holder(identity) == account_id:
            await self._executor.execute(identities, identity, command, context)
