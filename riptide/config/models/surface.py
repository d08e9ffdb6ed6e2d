"""Sections `api`, `log`, `performance` and `webhooks`: what operators see."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

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


def _key_set(source: str | None) -> str | None:
    """To another host only by https: whoever could change the answer could let anybody in."""
    here = r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/"
    if source is not None and "://" in source and not re.match(here, source):
        raise ValueError("write a file, or https://…; http:// only to this host")
    return source


def _addresses(listed: tuple[str, ...]) -> tuple[str, ...]:
    """What is neither would be believed from nobody; `*` would be believed from everybody."""
    for one in listed:
        try:
            ip_network(one)
        except ValueError:
            raise ValueError(f"{one!r} is no address or network, as in 10.0.0.7 or 10.0.0.0/8") from None
    return listed


Port = Annotated[int, Field(ge=0, le=65535)]


class ApiSettings(Section):
    """The HTTP API: where it listens, what it takes, and who is let in; and the middleware of services."""

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
    trusted_proxies: Annotated[Names, AfterValidator(_addresses)] = Field(
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

    admin_key: Annotated[SecretStr | None, Optional] = Field(
        None,
        description="The first admin key, as 'riptide access generate' prints one; else one is made and "
        "shown once. Secret: give it as ${RIPTIDE_ADMIN_KEY}.",
    )
    failed_tries: Count = Field(
        10, description="Wrong keys and tokens of one client address after which it has to wait."
    )
    failed_tries_seconds: WholeSeconds = Field(
        60, description="Seconds within which failed_tries are counted, and after which they are forgotten."
    )
    remember_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        300,
        description="Seconds for which a caller that was let in still is while the server cannot be reached, "
        "where the middleware can do without it; 0: not at all.",
    )
    jwt_jwks: Annotated[str | None, Optional, AfterValidator(_key_set)] = Field(
        None,
        description="JSON Web Key Set that tokens are checked against: a file, or https://…; without one "
        "there are only API keys.",
    )
    jwt_issuer: Annotated[str | None, Optional] = Field(None, description="Who a token must be from (iss).")
    jwt_audience: Annotated[str | None, Optional] = Field(None, description="Whom a token must be for (aud).")
    jwt_role_claim: Annotated[str, Field(min_length=1)] = Field(
        "role", description="Claim that says which role a token's holder has."
    )
    jwt_tenant_claim: Annotated[str, Field(min_length=1)] = Field(
        "tenant", description="Claim that says whose a token of role tenant is."
    )
    jwt_refresh_seconds: WholeSeconds = Field(
        3600, description="Seconds after which the key set is read again, in case keys were withdrawn."
    )
    jwt_retry_seconds: WholeSeconds = Field(
        30,
        description="Seconds between two readings of the key set at least, however many tokens name unknown "
        "keys.",
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
    metrics_tenants: int = Field(
        50,
        ge=0,
        le=10_000,
        description="Tenants that metrics name: so many of the largest, and all at 80 % of a quota or more.",
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address at which workers and services serve metrics."
    )
    metrics_port: Annotated[Port | None, Optional] = Field(
        None,
        description="Port of it, without a key asked for; 0: any that is free; empty: none is opened.",
    )
    enable_slow_log: bool = Field(True, description="Log operations that take longer than the threshold.")
    slow_threshold_ms: Milliseconds = Field(
        100, description="Milliseconds from which an operation counts as slow."
    )


class WebhooksSettings(Section):
    """Who is told of tenants near a quota or suspended, and of dead letters."""

    url: Annotated[str | None, Optional] = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+(/[^\s#]*)?$",
        description="Where notices are posted, as in https://hooks.example.com/riptide; empty: nowhere.",
    )
    secret: Annotated[SecretStr | None, Optional] = Field(
        None,
        description="Notices are signed with it, and not sent without it. Secret: give it by variable.",
    )
    check_seconds: WholeSeconds = Field(30, description="Seconds between two looks for what is to be told.")
    window_seconds: WholeSeconds = Field(
        3600, description="Seconds within which the same is not told again, however often it comes and goes."
    )
    timeout_seconds: Seconds = Field(10, description="Seconds that the receiver may take to answer.")
