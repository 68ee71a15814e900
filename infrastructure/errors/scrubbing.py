"""Takes out of texts what must not be stored or sent: secrets, and what names a person.

It leaves out too much rather than too little: a message is a hint, and the place of an error tells
most of it.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeAlias

import psycopg

LONGEST_MESSAGE = 500
"""In characters."""
_SCANNED = 2 * LONGEST_MESSAGE
"""A message may be megabytes long; so much of it is searched in milliseconds."""

_HIDDEN = "…"
_Replacement: TypeAlias = str | Callable[[re.Match[str]], str]
_TELLING_NAME = (
    r"[\w-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|credentials?|cookie|csrf|"
    r"signature|session|auth(?:orization)?)[\w-]*+"
)
_LONGEST_WORDS = 40
"""Characters of a run without a digit, such as a long name of a function."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _if_address(match: re.Match[str]) -> str:
    try:
        ip_address(match[0])
    except ValueError:
        return match[0]
    return _HIDDEN


def _unless_id(match: re.Match[str]) -> str:
    """A long run of letters and digits is a token, if it is not an id or words alone."""
    found = match[0]
    words = len(found) <= _LONGEST_WORDS and not any(map(str.isdigit, found))
    return found if words or _UUID.fullmatch(found) else _HIDDEN


_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile(r"://\S*@"), f"://{_HIDDEN}@"),
    (re.compile(r"([?&;][\w.~-]+=)[^&;\s\"'>)]*"), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic|Digest|Token)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (
        re.compile(
            rf"(?<![\w-])({_TELLING_NAME}[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"[^\s\"'<>(),;:=@]+@[\w-]+(?:\.[\w-]+)+"), _HIDDEN),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), _if_address),
    (re.compile(r"(?<![\w:])[0-9a-f]*:[0-9a-f:]+(?!\w)", re.IGNORECASE), _if_address),
    (re.compile(r"[\w+/~-]{24,}={0,2}(?:\.[\w-]+)*"), _unless_id),
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Among them what PostgreSQL cannot hold: one such text would keep all others from being stored."""
_QUOTED = re.compile(r"(?<!\w)(?:\"[^\"]*\"|'[^']*')(?!\w)")
_CODE_ERRORS = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
"""What their messages quote are names in our code. Others quote values, which may be anybody's."""


def scrub(text: str) -> str:
    """``text`` as one line of at most LONGEST_MESSAGE characters, without what is secret."""
    line = " ".join(_UNPRINTABLE.sub(" ", text[:_SCANNED]).split())
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + _HIDDEN


def message_of(error: BaseException) -> str:
    """What ``error`` says, without secrets and without the values that it quotes.

    Of an error of PostgreSQL it is the first line: the next ones quote rows and parameters.
    """
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        text = f"{error.sqlstate}: {error.diag.message_primary}"
        quotes_names = (error.sqlstate or "").startswith("42")  # wrong SQL, or a wrong schema
    else:
        text = str(error)
        quotes_names = isinstance(error, _CODE_ERRORS)
    return scrub(text if quotes_names else _QUOTED.sub(f"“{_HIDDEN}”", text[:_SCANNED]))
