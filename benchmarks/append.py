"""Appending: events made durable in a second, and how long a caller waits for it.

Every append is one event on a new stream, and every event has the same bytes: our rows encode it
each time, the others send it encoded. Targets: reference figures of the stock recorder, measured in
the same rounds.
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import uvloop
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.conninfo import conninfo_to_dict

from application.execute import Context, Executor
from application.ports import NewEvents
from benchmarks import callers
from benchmarks.harness import (
    Benchmark,
    Kind,
    Result,
    Row,
    Sample,
    Site,
    Unavailable,
    Verdict,
)
from domain.kernel import Metadata
from domain.media_requests import (
    Media,
    MediaRequested,
    MediaType,
    RequestMedia,
    media_request_id,
    media_requests,
)
from infrastructure.compose import new_id, utc_now
from infrastructure.embedded.binaries import find_postgres
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.recorder import datastore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.migrations import migrate
from infrastructure.postgres import pool

OURS = "MediaNest, append"
END_TO_END = "MediaNest, a whole command"
STOCK = "eventsourcing, stock recorder"
TARGET_CALLERS = 32
TARGET_RATIO = 20
TARGET_P99_MS = 15
