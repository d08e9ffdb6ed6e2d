"""Fixtures from tests/support."""

from tests.support.fixtures import deployment, on_valkey
from tests.support.s3 import s3_settings, s3_url

__all__ = ["deployment", "on_valkey", "s3_settings", "s3_url"]
