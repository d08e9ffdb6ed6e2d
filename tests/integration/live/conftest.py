"""Workers and services with configuration files that are edited while they run."""

from tests.support.fixtures import deployment, on_valkey

__all__ = ["deployment", "on_valkey"]
