"""Loaders: where values come from that the cache does not hold (docs/extending.md).

Only the contract is imported here: services that read the cache need no HTTP client.
"""

from riptide.cache.loaders.contract import Loaded, Loader, LoaderUnavailable, LoadRequest

__all__ = ["LoadRequest", "Loaded", "Loader", "LoaderUnavailable"]
