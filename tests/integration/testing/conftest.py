"""The fixtures of riptide.testing, as a user's tests have them."""

from riptide.testing import riptide_aworker, riptide_server, riptide_settings, riptide_worker

__all__ = ["riptide_aworker", "riptide_server", "riptide_settings", "riptide_worker"]
