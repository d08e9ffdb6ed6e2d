"""Fixtures from tests/support."""

from tests.support.fixtures import deployment, on_valkey

__all__ = ["deployment", "on_valkey"]
