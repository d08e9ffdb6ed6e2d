"""Fixtures of the checks of whole histories serve here too."""

from tests.faults.history.conftest import trial

__all__ = ["trial"]
