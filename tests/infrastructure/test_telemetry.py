import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from infrastructure.telemetry import configure_logging
configure_logging("info", "worker")
log = structlog.get_logger()
log.debug("not told")
log.info("job done", job_id="7")
logging.getLogger("somebody.else").info("not told either")
logging.getLogger("somebody.else").warning("careful with %s", "that")
with structlog.contextvars.bound_contextvars(correlation_id="click-1"):
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("job failed")
        logging.getLogger("somebody.else").exception("theirs failed")
"""


def test_every_line_is_json_whoever_logs() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("job done", "info"),
        ("careful with that", "warning"),
        ("job failed", "error"),
        ("theirs failed", "error"),
    ]
    assert {line["process"] for line in lines} == {"worker"}
    assert lines[0]["job_id"] == "7"
    assert lines[1]["library"] == "somebody.else"
    assert all("correlation_id" not in line for line in lines[:2])
    assert all(line["correlation_id"] == "click-1" for line in lines[2:])
    assert all("ZeroDivisionError" in line["exception"] for line in lines[2:])
