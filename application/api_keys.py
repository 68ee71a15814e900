"""API keys: made, shown once, and revoked by their owners."""

from datetime import datetime
from uuid import UUID

from application.execute import Context, Executed, Executor
from application.ports import Clock, Ids, OpaqueTokens, PersonalData
from application.standings import Standings
from domain.api_keys import ApiKey, MakeApiKey, RevokeApiKey, Scope, UnknownApiKey, api_keys

API_KEY_NAME = "api_key_name"
"""The field as which the name of a key is sealed; a person may have named it after themselves."""


class ApiKeys:
    """The use cases of API keys."""

    def __init__(
        self,
        executor: Executor,
        standings: Standings,
        personal_data: PersonalData,
        tokens: OpaqueTokens,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._executor = executor
        self._standings = standings
        self._personal_data = personal_data
        self._tokens = tokens
        self._clock = clock
        self._ids = ids

    async def make(
        self,
        account_id: UUID,
        name: str,
        scopes: tuple[Scope, ...],
        expires_at: datetime,
        context: Context,
    ) -> tuple[UUID, str, Executed[ApiKey]]:
        """A new key: its id, and what is shown this once and never again. Raises WrongExpiry."""
        token = self._tokens.make(self._ids())
        sealed = await self._personal_data.seal(account_id, API_KEY_NAME, name)
        command = MakeApiKey(account_id, sealed, scopes, token.digest, self._clock(), expires_at)
        made = await self._executor.execute(api_keys, token.id, command, context)
        return token.id, token.token, made

    async def revoke(self, account_id: UUID, key_id: UUID, context: Context) -> int:
        """Take one of the account's keys back; the position. Raises UnknownApiKey for any other."""
        if await self._executor.state(api_keys, key_id) is None:
            raise UnknownApiKey
        revoked = await self._executor.execute(api_keys, key_id, RevokeApiKey(account_id), context)
        await self._standings.key_changed(key_id, revoked.state, revoked.version)
        return revoked.position
