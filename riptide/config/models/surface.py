"""Sections `api`, `log` and `performance`: what operators see."""

from typing import Annotated, Literal

from pydantic import Field

from riptide.config.values import AnyCase, Count, Mapping, Milliseconds, Seconds, Section, WholeSeconds

Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], AnyCase]


class ApiSettings(Section):
    """The HTTP API, and the middleware of services."""

    middleware_leases: bool = Field(
        False,
        description="The middleware asks the server once a second for each tenant, and not with each "
        "request: suspensions, limits and keys that were revoked hold within a second.",
    )
    usage_flush_seconds: Seconds = Field(
        1.0,
        description="Seconds that usage noted in a process (by the middleware, or rt.usage.note) waits "
        "before it is published; a process that is killed loses so much of it.",
    )
    usage_max_waiting: Count = Field(
        50_000,
        description="Sums of noted usage, one for each tenant, operation and hour, that wait in a process at "
        "most while the server is away; what is noted beyond them is refused, logged and counted.",
    )


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
