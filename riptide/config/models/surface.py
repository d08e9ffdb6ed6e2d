"""Sections `api`, `log` and `performance`: what operators see."""

from typing import Annotated, Literal

from pydantic import Field

from riptide.config.values import (
    MOST_BYTES,
    AnyCase,
    Bytes,
    Count,
    Mapping,
    Milliseconds,
    Names,
    Optional,
    Seconds,
    Section,
    WholeSeconds,
)

Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], AnyCase]


Port = Annotated[int, Field(ge=0, le=65535)]


class ApiSettings(Section):
    """The HTTP API: where it listens, and what it takes from whoever connects."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that the API listens on.")
    port: Port = Field(8080, description="Port that it listens on; 0: a free one, which the log tells.")
    probe_host: str = Field("127.0.0.1", min_length=1, description="Address of the probes' own port.")
    probe_port: Annotated[Port | None, Optional] = Field(
        None,
        description="Port on which /health/live, /health/ready and /metrics answer without a key; none if it "
        "is left out. 0: a free one.",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="What a proxy before it takes off the front of each path, as in /riptide.",
    )
    trusted_proxies: Names = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed.",
    )
    max_body_bytes: Bytes = Field(
        2 * 1024**2,
        ge=1024,
        le=MOST_BYTES,
        description="Bytes of a request's body above which it is refused.",
    )
    max_header_bytes: Bytes = Field(
        16 * 1024,
        ge=1024,
        le=1024**2,
        description="Bytes of a request's line and headers above which it is refused.",
    )
    max_query_bytes: Bytes = Field(
        8 * 1024, ge=256, le=1024**2, description="Bytes of its path and query above which it is refused."
    )
    header_timeout_seconds: Seconds = Field(
        10, description="Seconds that sending a request's line and headers may take."
    )
    body_timeout_seconds: Seconds = Field(30, description="Seconds that sending its body may take.")
    write_timeout_seconds: Seconds = Field(
        30, description="Seconds that a client may take no part of its answer."
    )
    request_timeout_seconds: Seconds = Field(60, description="Seconds until an answer begins.")
    max_wait_seconds: Seconds = Field(
        30,
        description="Seconds that ?wait= waits for a command at most, before request_timeout_seconds ends.",
    )
    keep_alive_seconds: WholeSeconds = Field(
        10, description="Seconds that a connection stays open between two requests."
    )
    max_connections: Count = Field(
        4096,
        description="Connections; beyond them the one that has been sending its headers longest gives way.",
    )
    max_requests: Count = Field(
        256, description="Requests that are worked on at a time; more are told to come again."
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
