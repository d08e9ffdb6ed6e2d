"""The slow log: operations that took longer than `performance.slow_threshold_ms`, as one line each."""

from typing import Any

from riptide.config import PerformanceSettings
from riptide.logger import get_logger
from riptide.store.keys import shown_key
from riptide.store.operation import Operation


class SlowLog:
    def __init__(self, settings: PerformanceSettings) -> None:
        self._settings = settings

    @property
    def threshold(self) -> float:
        """Seconds from which an operation is slow."""
        settings = self._settings
        return settings.slow_threshold_ms / 1000 if settings.enable_slow_log else float("inf")

    def note(self, operation: Operation[Any], seconds: float) -> None:
        """Log an operation that took `seconds`, by its command or script and the key it is routed by;
        never its arguments."""
        name = operation.script.name if operation.script else operation.args[0]
        place = 3 if operation.script else 1
        key = operation.args[place] if len(operation.args) > place else ""  # TIME has none
        get_logger("riptide.slow").warning(
            "slow operation", operation=name, key=shown_key(str(key)), ms=round(seconds * 1000, 1)
        )
