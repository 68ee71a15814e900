"""A private PostgreSQL and a private Valkey in a data folder, as real as installed ones."""

from infrastructure.embedded.data_folder import DataFolder, ServerUrls, find_running
from infrastructure.embedded.errors import (
    DataFolderInUse,
    DataFolderUnusable,
    EmbeddedError,
    RootRefused,
    ServerMissing,
    UnsuitableVersion,
)
from infrastructure.embedded.servers import EmbeddedServers

__all__ = [
    "DataFolder",
    "DataFolderInUse",
    "DataFolderUnusable",
    "EmbeddedError",
    "EmbeddedServers",
    "RootRefused",
    "ServerMissing",
    "ServerUrls",
    "UnsuitableVersion",
    "find_running",
]
