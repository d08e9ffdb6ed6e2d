"""Section `redis`: the server and the connections to it."""

from typing import Annotated

from pydantic import Field, SecretStr

from riptide.config.values import Count, Milliseconds, Optional, RedisUrl, Seconds, Section, Url


class RedisSettings(Section):
    """Where the server is, and how connections to it behave."""

    url: Url = Field(
        RedisUrl("redis://127.0.0.1:6379/0"),
        description="The server: redis://, rediss:// (TLS), unix://, redis+cluster://h1:6379,h2:6379 or "
        "redis+sentinel://h1:26379,h2:26379/mymaster. A password in it is never shown.",
    )
    cluster_mode: bool = Field(
        False, description="Treat the host of a redis:// or rediss:// URL as a cluster's seed."
    )
    username: Annotated[str | None, Optional] = Field(None, description="ACL user, where the URL names none.")
    password: Annotated[SecretStr | None, Optional] = Field(
        None, description="Password, where the URL holds none. Secret: give it as ${REDIS_PASSWORD}."
    )
    pool_size: Count = Field(
        10, description="Connections a process opens at most; a caller waits for a free one."
    )
    connection_timeout_ms: Milliseconds = Field(5000, description="Milliseconds that connecting may take.")
    command_timeout_ms: Milliseconds = Field(
        5000, description="Milliseconds that an answer may take; blocking reads add their own waiting time."
    )
    retry_attempts: int = Field(
        3, ge=0, le=100, description="Further tries after a connection failed or timed out."
    )
    retry_delay_ms: Milliseconds = Field(
        100,
        description="Milliseconds before the first further try; doubled with jitter for each that follows.",
    )
    breaker_failures: int = Field(
        3,
        ge=0,
        le=10**6,
        description="Calls in a row that must fail, with all their tries, before a service's further ones "
        "are refused at once until the server answers; 0: none is.",
    )
    breaker_seconds: Seconds = Field(
        1.0, description="Seconds between two looks whether a server answers that did not."
    )
    max_pipeline_size: Count = Field(
        100, description="Operations sent in one round trip at most; more are split."
    )
    tls_ca_certs: Annotated[str | None, Optional] = Field(
        None,
        description="PEM file of the authorities that a TLS server is checked against; else the system's.",
    )
    tls_certfile: Annotated[str | None, Optional] = Field(
        None, description="PEM file of this client's certificate."
    )
    tls_keyfile: Annotated[str | None, Optional] = Field(
        None, description="PEM file of that certificate's key."
    )
    tls_verify: bool = Field(
        True, description="Check a TLS server's certificate and host name. Off only for tests."
    )
