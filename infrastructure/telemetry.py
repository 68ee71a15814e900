"""Logs: one JSON object a line on standard error, with the correlation id of its cause."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog


def configure_logging(level: str, process: str) -> None:
    """Log from ``level`` up, as ``process``; the standard library's loggers take the same way."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    encode = msgspec.json.Encoder(enc_hook=str).encode

    def render(_: Any, level: str, event: Any) -> bytes:
        # Structlog's own processors for these take longer than all the rest of a line.
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(None, level, event)
        event |= {"process": process, "level": level, "timestamp": datetime.now(UTC)}
        return encode(event)

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = _ToStructlog(threshold)
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


class _ToStructlog(logging.Handler):
    """Hands the records of libraries to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info)
