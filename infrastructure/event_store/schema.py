"""The tables of the event store, and the one function through which every event enters them.

The events table is the ``eventsourcing`` library's own, so its tools can read it. The function
replaces the library's, which takes no lock and so lets subscribers pass over events.
"""

from hashlib import sha256

from psycopg.sql import SQL, Composed, Identifier, Literal

EVENTS_TABLE = "events"
LOCK_CLASS = 0x4D4E  # "MN": keeps our advisory locks apart from those of other applications
APPENDED = "appended"
REPEATED = "repeated"
CONFLICT = "conflict"

_COMMANDS = SQL(
    "CREATE TABLE IF NOT EXISTS {schema}.{commands} "
    "(command_id uuid PRIMARY KEY, position bigint NOT NULL)"
)

# One call stores the events of many commands with one lock, one insert, one notification and one
# fsync. Every command succeeds or fails alone; the caller sends each stream and each command id at
# most once in a call.
#
# The lock makes commit order equal to position order, so a reader that has seen a position has seen
# all before it. It is taken in a statement of its own: the next one then has a fresh snapshot, with
# everything that earlier holders of the lock have committed.
#
# Sequential scans are off because the plans are cached while the tables are still empty.
_APPEND = SQL("""
CREATE OR REPLACE FUNCTION {schema}.{append}(
    command_ids uuid[],      -- one for each command; NULL is not remembered
    streams uuid[],          -- one for each command
    first_versions bigint[], -- one for each command
    command_numbers integer[], versions bigint[], topics text[], states bytea[] -- for each event
)
RETURNS TABLE (number integer, outcome text, last_position bigint)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock({lock_class}, {table_name}::regclass::oid::integer);

    RETURN QUERY
    WITH command AS MATERIALIZED (
        SELECT sent.number::integer AS number, sent.id, sent.stream,
               earlier.position AS earlier_position,
               earlier.position IS NULL AND CASE
                   WHEN tip.version IS NULL THEN sent.first_version <= 1
                   ELSE sent.first_version = tip.version + 1
               END AS accepted
        FROM unnest(command_ids, streams, first_versions)
             WITH ORDINALITY AS sent(id, stream, first_version, number)
        LEFT JOIN {schema}.{commands} AS earlier ON earlier.command_id = sent.id
        CROSS JOIN LATERAL (
            SELECT max(originator_version) AS version
            FROM {schema}.{table} WHERE originator_id = sent.stream
        ) AS tip
    ), inserted AS (
        INSERT INTO {schema}.{table} (originator_id, originator_version, topic, state)
        SELECT command.stream, event.version, event.topic, event.state
        FROM unnest(command_numbers, versions, topics, states)
             WITH ORDINALITY AS event(command_number, version, topic, state, place)
        JOIN command ON command.number = event.command_number AND command.accepted
        ORDER BY event.place
        RETURNING originator_id, notification_id
    ), landed AS (
        SELECT originator_id AS stream, max(notification_id) AS position
        FROM inserted GROUP BY originator_id
    ), remembered AS (
        INSERT INTO {schema}.{commands} (command_id, position)
        SELECT command.id, landed.position
        FROM command JOIN landed ON landed.stream = command.stream
        WHERE command.id IS NOT NULL
    )
    SELECT command.number,
           CASE WHEN command.accepted THEN {appended}
                WHEN command.earlier_position IS NOT NULL THEN {repeated}
                ELSE {conflict} END,
           coalesce(command.earlier_position, landed.position)
    FROM command LEFT JOIN landed ON command.accepted AND landed.stream = command.stream;

    NOTIFY {channel};
END;
$function$
""")


def channel(table: str) -> str:
    """The notification channel of an events table."""
    return table.replace(".", "_")


def append_function(table: str) -> str:
    """The name of the function that appends to an events table."""
    return f"append_to_{table}"


def commands_table(table: str) -> str:
    """The table of command ids beside an events table."""
    return f"{table}_commands"


def statements(table: str, schema: str = "public") -> list[Composed]:
    """What is made beside the library's own table and index. Each may run again."""
    names = {
        "schema": Identifier(schema),
        "table": Identifier(table),
        "commands": Identifier(commands_table(table)),
        "append": Identifier(append_function(table)),
    }
    append = _APPEND.format(
        **names,
        lock_class=Literal(LOCK_CLASS),
        table_name=Literal(f'{schema}."{table}"'),
        channel=Identifier(channel(table)),
        appended=Literal(APPENDED),
        repeated=Literal(REPEATED),
        conflict=Literal(CONFLICT),
    )
    fingerprint = SQL("COMMENT ON FUNCTION {schema}.{append} IS {text}").format(
        **names, text=Literal(_fingerprint())
    )
    return [_COMMANDS.format(**names), append, fingerprint]


def installed_check(table: str) -> Composed:
    """A query that gives ``true`` when the database has exactly this version of the function."""
    return SQL("SELECT obj_description(to_regproc({name}), 'pg_proc') = {text}").format(
        name=Literal(append_function(table)), text=Literal(_fingerprint())
    )


def _fingerprint() -> str:
    source = _APPEND.as_string() + _COMMANDS.as_string()
    return f"medianest {sha256(source.encode()).hexdigest()[:16]}"
