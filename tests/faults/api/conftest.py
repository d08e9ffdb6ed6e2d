"""Fixtures from tests/support."""

from tests.support.fixtures import alone, on_valkey

__all__ = ["alone", "on_valkey"]
