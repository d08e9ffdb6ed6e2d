"""Logging: structlog, as JSON for machines or as lines for people (`log.format`), to standard error."""

import logging
import sys

import structlog

from riptide.config import LogSettings
from riptide.logger import get_logger
from riptide.streams import current

#: Loggers that have been given a level of their own.
_levelled: set[str] = set()


def configure(settings: LogSettings) -> None:
    """Set up logging of this process: level, format, and levels of single loggers. Any number of times."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        current.add_facts,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=processors, processors=_tail(settings))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change of any file
    for name in ("httpx", "httpcore"):  # they tell of every address, whatever secret is part of it
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _levelled - set(settings.levels):
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in settings.levels.items():
        logging.getLogger(name).setLevel(level.upper())
    _levelled.update(settings.levels)


def _tail(settings: LogSettings) -> list[structlog.typing.Processor]:
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if settings.format == "json":
        return [clean, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Where rich is installed structlog shows what all variables hold, too: keys, tokens, passwords.
    plain = structlog.dev.plain_traceback
    return [clean, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def notices(texts: list[str]) -> None:
    """Name settings that were given and have no effect."""
    for text in texts:
        get_logger("riptide.config").warning("setting without effect", reason=text)
