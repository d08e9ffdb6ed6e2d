"""Sections `state` and `blobs`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

from riptide.config.values import MOST_BYTES, Bytes, Count, Names, Optional, Seconds, Section, WholeSeconds

_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=~+-]+)*/?")


def _checked_url(value: Any) -> Any:
    if isinstance(value, str) and "://" in value and not _BUCKET.fullmatch(value):
        raise ValueError("it is neither a directory nor of the form s3://bucket/prefix")
    return value


class StateSettings(Section):
    """Sessions, live configuration, checkpoints and shutdown."""

    session_timeout_seconds: WholeSeconds = Field(
        1800, description="Seconds that an untouched session lives."
    )
    session_memory_bytes: Bytes = Field(
        100 * 1024**2,
        ge=1,
        le=MOST_BYTES,
        description="Bytes of memory for the sessions of all tenants; above 80 % of it, those not used for "
        "longest are moved to the blob store.",
    )
    enable_hot_reload: bool = Field(True, description="Take changed configuration files over while running.")
    config_watch_paths: Annotated[Names, Field(min_length=1)] = Field(
        ("./config",),
        description="Directories or files that are watched for changes, besides the configuration file.",
    )
    checkpoint_interval_seconds: WholeSeconds = Field(
        300, description="Seconds between scheduled checkpoints."
    )
    max_checkpoints: Count = Field(10, description="Checkpoints that are kept.")
    checkpoint_compression: bool = Field(True, description="Compress checkpoints with zstd.")
    enable_graceful_shutdown: bool = Field(
        True,
        description="On SIGTERM finish what runs; off, end it at once. What has not ended is handed back.",
    )
    shutdown_timeout_seconds: Seconds = Field(
        30, description="Seconds that a process may take to stop after SIGTERM."
    )
    checkpoint_on_shutdown: bool = Field(
        False,
        description="The worker that stops last writes a checkpoint, if that fits into what is left of its "
        "time for stopping.",
    )


class BlobsSettings(Section):
    """Where the archive, checkpoints and wrapped data keys lie: a local directory, or S3."""

    url: Annotated[str, BeforeValidator(_checked_url)] = Field(
        "./data",
        min_length=1,
        description="A directory, which all processes must share, or s3://bucket/prefix (extra `s3`).",
    )
    s3_endpoint: Annotated[str | None, Optional] = Field(
        None,
        pattern=r"^https?://[^/?#@]+/?$",
        description="Where S3 is, unless Amazon's, as in http://127.0.0.1:9000; else AWS_ENDPOINT_URL.",
    )
    s3_region: Annotated[str | None, Optional] = Field(
        None, description="Region of the bucket; else AWS_REGION."
    )
    s3_access_key_id: Annotated[str | None, Optional] = Field(
        None, description="Who writes to the bucket; else AWS_ACCESS_KEY_ID, or the machine's own role."
    )
    s3_secret_access_key: Annotated[SecretStr | None, Optional] = Field(
        None, description="The secret that goes with it. Secret: give it by variable."
    )
