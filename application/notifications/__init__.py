"""Telling people what became of requests: to whom, where it stands, and how it reaches them."""

from application.notifications.choices import CHANNEL_ADDRESS, CHANNEL_NAME, Choices
from application.notifications.delivering import Delivering
from application.notifications.inboxes import Inboxes
from application.notifications.news import TOLD
from application.notifications.telling import Admins, Telling
from application.notifications.words import in_words

__all__ = [
    "CHANNEL_ADDRESS",
    "CHANNEL_NAME",
    "TOLD",
    "Admins",
    "Choices",
    "Delivering",
    "Inboxes",
    "Telling",
    "in_words",
]
