"""Sections `api`, `log` and `performance`: what operators see."""

from typing import Annotated, Literal

from pydantic import Field

from riptide.config.values import AnyCase, Mapping, Milliseconds, Section, WholeSeconds

Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], AnyCase]


class ApiSettings(Section):
    """The HTTP API; its settings come with it."""


class LogSettings(Section):
    """What is logged, and in which form."""

    level: Level = Field("info", description="Least severe level that is logged.")
    format: Annotated[Literal["json", "console"], AnyCase] = Field(
        "console", description="'json', one object a line, or 'console' for people."
    )
    levels: Annotated[dict[str, Level], Mapping] = Field(
        default_factory=dict, description="Levels of single loggers, as in {riptide.cache: debug}."
    )


class PerformanceSettings(Section):
    """Measuring."""

    target_cache_access_ms: Milliseconds = Field(
        5, description="Milliseconds that a cache access should take at most."
    )
    enable_monitoring: bool = Field(True, description="Measure accesses, and report them to the workers.")
    enable_metrics: bool = Field(True, description="Export what is measured as Prometheus metrics.")
    metrics_interval_seconds: WholeSeconds = Field(
        60, description="Seconds between two collections of metrics."
    )
    enable_slow_log: bool = Field(True, description="Log operations that take longer than the threshold.")
    slow_threshold_ms: Milliseconds = Field(
        100, description="Milliseconds from which an operation counts as slow."
    )
