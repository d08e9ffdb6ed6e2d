"""Real servers for tests, each in a process of its own on loopback, and gone when the tests are."""

from tests.servers.cluster import Cluster
from tests.servers.kinds import DRAGONFLY, KINDS, MissingServer, Server, Servers, find_binary
from tests.servers.process import ServerProcess

__all__ = [
    "DRAGONFLY",
    "KINDS",
    "Cluster",
    "MissingServer",
    "Server",
    "ServerProcess",
    "Servers",
    "find_binary",
]
