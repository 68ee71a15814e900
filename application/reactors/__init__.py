"""What follows by itself from what has happened; one explicit tuple names every reactor."""

from application.effects import Reactor
from application.reactors.finish_forgetting import finish_forgetting
from application.reactors.forward_requests import forward_requests

REACTORS: tuple[Reactor, ...] = (forward_requests, finish_forgetting)
