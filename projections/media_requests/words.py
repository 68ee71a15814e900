"""Titles as they are sorted and searched: without case, accents and punctuation."""

import re
import unicodedata

LONGEST_KEY = 60
"""In characters; titles that are alike for longer are sorted by their age."""
LONGEST_WORD = 100

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text, such as ``["amelie", "2"]`` of “Amélie 2”."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return [word[:LONGEST_WORD] for word in _WORD.findall(bare)]


def sort_key(title: str) -> str:
    """What a title is sorted by, character by character."""
    return " ".join(words_of(title))[:LONGEST_KEY]
