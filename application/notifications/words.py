"""What is told, in words: a line, and what there is to say beyond it."""

from domain.notifications.inbox import Subject
from domain.notifications.kinds import NoticeKind

_LINES = {
    NoticeKind.NEW_REQUEST: "{title} was asked for",
    NoticeKind.REQUEST_APPROVED: "{title} was approved",
    NoticeKind.REQUEST_DECLINED: "{title} was declined",
    NoticeKind.REQUEST_CANCELLED: "{title} was cancelled",
    NoticeKind.REQUEST_FAILED: "{title} could not be got",
    NoticeKind.REQUEST_AVAILABLE: "{title} is available",
}
_BEYOND = {
    NoticeKind.NEW_REQUEST: "It goes ahead by itself.",
    NoticeKind.REQUEST_APPROVED: "You are told as soon as it is available.",
    NoticeKind.REQUEST_DECLINED: "No reason was given.",
    NoticeKind.REQUEST_CANCELLED: "No reason was given.",
    NoticeKind.REQUEST_FAILED: "An admin has to look at it.",
    NoticeKind.REQUEST_AVAILABLE: "Enjoy!",
}


def in_words(kind: NoticeKind, about: Subject) -> tuple[str, str]:
    """A line on what has happened, and a sentence or two more."""
    year = f" ({about.year})" if about.year else ""
    line = _LINES[kind].format(title=f"“{about.title}”{year}")
    if about.awaits_approval:
        return line, "It waits for your approval."
    return line, about.detail or _BEYOND[kind]
