"""Asking for films and series, deciding on it, and telling Overseerr about it."""

from application.media_requests.forwarding import Forwarding
from application.media_requests.requests import MediaRequests, RequestRules, Wish

__all__ = ["Forwarding", "MediaRequests", "RequestRules", "Wish"]
