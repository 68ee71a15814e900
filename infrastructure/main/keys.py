"""The keys commands."""

from infrastructure.compose import utc_now
from infrastructure.database import open_database
from infrastructure.security.keyring import open_keyring
from infrastructure.settings import Settings


async def rotate(settings: Settings) -> str:
    """Let a new key sign access tokens; its id. Tokens of the others are good to their end."""
    secret = settings.required("secret_key")
    async with (
        open_database(settings, "keys", connections=1) as database,
        open_keyring(database.pool, secret, utc_now) as keys,
    ):
        return (await keys.rotate()).kid
