"""The tables of the durable subscribers: how far each has come, and what it could not take."""

from psycopg import AsyncConnection

CHECKPOINT_CHANNEL = "checkpoints"

_STATEMENTS = """
CREATE TABLE IF NOT EXISTS checkpoints (
    subscriber text PRIMARY KEY,
    position bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS parked_events (
    subscriber text NOT NULL,
    position bigint NOT NULL,
    stream_id uuid NOT NULL,
    error text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscriber, position)
)
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_STATEMENTS, prepare=False)


async def start_at_head(connection: AsyncConnection, subscriber: str) -> None:
    """Give a subscriber that is new the present end of the log as its beginning.

    For reactors: one that is added later must not fire for what happened before it existed.
    """
    await connection.execute(
        "INSERT INTO checkpoints (subscriber, position)"
        " SELECT %s, coalesce(max(notification_id), 0) FROM events"
        " ON CONFLICT (subscriber) DO NOTHING",
        (subscriber,),
    )
