"""The list of requests: one row for each title and quality, its fold and its queries."""

from projections.media_requests.queries import Mark, MediaRequestQueries, RequestFilter, Sort
from projections.media_requests.rows import MEDIA_REQUESTS, MediaRequestRow, fold

__all__ = [
    "MEDIA_REQUESTS",
    "Mark",
    "MediaRequestQueries",
    "MediaRequestRow",
    "RequestFilter",
    "Sort",
    "fold",
]
