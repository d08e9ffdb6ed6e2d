"""The library's loggers follow the program that it is part of. RipTide's own programs call log.configure."""

import logging
from typing import Any

import structlog


class _Logger:
    """structlog's logger, as the program has configured it; until it does so, that of `logging`."""

    def __init__(self, name: str) -> None:
        self._structured = structlog.get_logger(name)  # noqa: TID251 - this is where it is taken
        self._plain = structlog.wrap_logger(
            logging.getLogger(name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.dev.ConsoleRenderer(
                    colors=False, exception_formatter=structlog.dev.plain_traceback
                ),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._structured if structlog.is_configured() else self._plain, name)


def get_logger(name: str) -> Any:
    """What structlog.get_logger gives, except that nothing reaches standard output by itself, where structlog
    writes by default: that is the program's. `logging` prints warnings, to standard error, unless the program
    has set it up."""
    return _Logger(name)
