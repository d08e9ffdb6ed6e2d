"""Fixtures from tests/support."""

from tests.support.fixtures import on_valkey

__all__ = ["on_valkey"]
