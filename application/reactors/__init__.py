"""What follows by itself from what has happened; one explicit tuple names every reactor."""

from application.effects import Reactor
from application.reactors.cancel_forwarding import cancel_forwarding
from application.reactors.deliver_notifications import deliver_notifications
from application.reactors.finish_forgetting import finish_forgetting
from application.reactors.forward_requests import forward_requests
from application.reactors.notify import notify
from application.reactors.return_quotas import return_quotas

REACTORS: tuple[Reactor, ...] = (
    forward_requests,
    cancel_forwarding,
    return_quotas,
    finish_forgetting,
    notify,
    deliver_notifications,
)
