"""The roles the world plays for the use cases; infrastructure has the players.

Errors a port may raise stand beside it. They are refusals by the world, not by the domain::

    PortError
    ├── StoreBusy                 the store's queue is full: later
    ├── StoreUnavailable          the store cannot be reached, or did not answer in time
    ├── VersionConflict           somebody else appended first (the executor retries)
    ├── CommandIdReused           a command id came back with another command
    ├── UnreadableStream          a stream holds events of a newer version of MediaNest
    ├── UnknownTitle              the catalogue has no such title
    ├── CatalogueUnavailable      the catalogue cannot answer now
    ├── ForwardingFailure         Overseerr did not do what it was asked for
    ├── HasherBusy                too many passwords are being checked already
    ├── Forgotten                 the person's key was destroyed
    ├── BadPlexToken              plex.tv does not accept the token
    ├── UnknownPin                plex.tv knows no such PIN, or not any more
    ├── NoAccessToServer          the Plex account cannot reach the configured server
    └── PlexUnavailable           plex.tv or the Plex server does not answer
"""

from application.ports.errors import ErrorLog, LoggedError
from application.ports.event_store import (
    Appended,
    CommandIdReused,
    EventFeed,
    EventStore,
    NewEvents,
    ReadModelProgress,
    StoreBusy,
    StoreUnavailable,
    UnreadableStream,
    VersionConflict,
)
from application.ports.forwarding import ForwardingFailure, RequestForwarder
from application.ports.gate import Gate, Passage, Standing, Visit
from application.ports.kernel import Clock, Ids, PortError, Retriable
from application.ports.media import (
    CatalogueUnavailable,
    FoundTitle,
    MediaCatalogue,
    OnShelf,
    SearchPage,
    SeasonDetails,
    Shelf,
    Title,
    TitleDetails,
    UnknownTitle,
)
from application.ports.metrics import Exposition, Metrics
from application.ports.people import (
    AccessToken,
    AccessTokens,
    BadPlexToken,
    Bearer,
    Forgotten,
    HasherBusy,
    LastUses,
    NoAccessToServer,
    OpaqueToken,
    OpaqueTokens,
    PasswordHasher,
    PersonalData,
    PlexAccounts,
    PlexPin,
    PlexUnavailable,
    PlexUser,
    Pseudonym,
    UnknownPin,
)

__all__ = [
    "AccessToken",
    "AccessTokens",
    "Appended",
    "BadPlexToken",
    "Bearer",
    "CatalogueUnavailable",
    "Clock",
    "CommandIdReused",
    "ErrorLog",
    "EventFeed",
    "EventStore",
    "Exposition",
    "Forgotten",
    "ForwardingFailure",
    "FoundTitle",
    "Gate",
    "HasherBusy",
    "Ids",
    "LastUses",
    "LoggedError",
    "MediaCatalogue",
    "Metrics",
    "NewEvents",
    "NoAccessToServer",
    "OnShelf",
    "OpaqueToken",
    "OpaqueTokens",
    "Passage",
    "PasswordHasher",
    "PersonalData",
    "PlexAccounts",
    "PlexPin",
    "PlexUnavailable",
    "PlexUser",
    "PortError",
    "Pseudonym",
    "ReadModelProgress",
    "RequestForwarder",
    "Retriable",
    "SearchPage",
    "SeasonDetails",
    "Shelf",
    "Standing",
    "StoreBusy",
    "StoreUnavailable",
    "Title",
    "TitleDetails",
    "UnknownPin",
    "UnknownTitle",
    "UnreadableStream",
    "VersionConflict",
    "Visit",
]
