"""Sections `streams`, `workers` and `distributed`: commands, and those who carry them out."""

from typing import Annotated

from pydantic import Field

from riptide.config.values import (
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


class StreamsSettings(Section):
    """What publishing accepts and how long it is remembered."""

    max_body_bytes: Bytes = Field(
        1024**2,
        ge=2,
        le=64 * 1024**2,
        description="Bytes of a command's body above which it is refused. At most 64 MiB.",
    )
    block_ms: Milliseconds = Field(
        1000, description="Milliseconds that an idle worker's read waits for a command."
    )
    lane_ttl_seconds: WholeSeconds = Field(
        3600, description="Seconds that a publisher's lane is remembered; a retry after that may run twice."
    )
    idempotency_window_seconds: WholeSeconds = Field(
        86400,
        description="Seconds within which a command with the same idempotency key is not published again.",
    )
    result_ttl_seconds: WholeSeconds = Field(
        86400, description="Seconds that a finished command's result is kept."
    )
    archive: bool = Field(True, description="Workers copy the streams of archive_types to the blob store.")
    archive_types: Names = Field(("record_usage",), description="Types of command that are archived.")
    archive_seconds: Seconds = Field(
        30, description="Seconds that a command waits for the archive, about, where it is lightly used."
    )
    archive_segment_bytes: Bytes = Field(
        8 * 1024**2,
        ge=1024,
        le=1024**3,
        description="Bytes of a segment of the archive, compressed, above which the next one begins.",
    )
    archive_retention_days: Annotated[int | None, Optional] = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after which a command leaves the archive; for ever, if none are given.",
    )
    replay_window_seconds: Seconds = Field(
        86400, description="Seconds that a finished command stays in its stream, to be replayed from there."
    )
    replay_window_bytes: Bytes = Field(
        256 * 1024**2,
        ge=1024**2,
        le=1024**4,
        description="Bytes of one stream above which finished commands leave it earlier. At least 1 MiB.",
    )
    max_backlog: Count = Field(
        1_000_000,
        description="Unfinished commands of one type and partition from which publishing refuses more.",
    )
    groups: Annotated[dict[str, Names], Mapping] = Field(
        default_factory=dict,
        description="Your own consumer groups by type, as in {record_usage: [audit]}: what they have not "
        "read and acknowledged stays. Any other group may lose entries.",
    )


class WorkersSettings(Section):
    """How commands are carried out, tried again and given up."""

    concurrency: Count = Field(10, description="Commands that one worker process handles at a time.")
    lease_seconds: Seconds = Field(
        2.5,
        description="Seconds without a heartbeat after which a worker counts as dead and its commands run "
        "elsewhere; at least two of distributed.heartbeat_interval_ms.",
    )
    handler_timeout_seconds: Seconds = Field(
        300, description="Seconds that a handler may take; then it is ended."
    )
    handler_timeouts: Annotated[dict[str, Seconds], Mapping] = Field(
        default_factory=dict, description="The same for single types of command, as in {warm: 120}."
    )
    max_attempts: Count = Field(
        5, description="Starts of a handler before the command goes to the dead letters."
    )
    retry_base_seconds: Seconds = Field(
        1, description="Seconds before the first retry; doubled, with jitter, after that."
    )
    retry_cap_seconds: Seconds = Field(300, description="Seconds between two retries at most.")
    modules: Names = Field((), description="Your own Python modules with commands, handlers and loaders.")


class DistributedSettings(Section):
    """How processes know of each other."""

    node_id: Annotated[str | None, Optional] = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=64,
        description="This host's name in lists of workers; else what the system calls it.",
    )
    heartbeat_interval_ms: Milliseconds = Field(
        1000, description="Milliseconds between two signs of life of a process."
    )
