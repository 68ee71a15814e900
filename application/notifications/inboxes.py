"""Reading what one was told."""

from uuid import UUID

from application.execute import Context, Executed, Executor
from domain.notifications.inbox import (
    Inbox,
    Notification,
    Read,
    ReadInbox,
    inbox_id,
    inboxes,
    notifications,
)


class Inboxes:
    """The use cases of inboxes."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def read(self, id_: UUID, account_id: UUID, context: Context) -> Executed[Notification]:
        """Note that a person has read a notification. Raises UnknownNotification."""
        return await self._executor.execute(notifications, id_, Read(account_id), context)

    async def read_all(self, account_id: UUID, up_to: int, context: Context) -> Executed[Inbox]:
        """Note that a person has read all that they were told up to a position."""
        return await self._executor.execute(
            inboxes, inbox_id(account_id), ReadInbox(up_to), context
        )
