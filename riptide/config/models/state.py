"""Sections `state` and `blobs`."""

from typing import Annotated

from pydantic import Field

from riptide.config.values import Count, Names, Seconds, Section, WholeSeconds


class StateSettings(Section):
    """Sessions, live configuration, checkpoints and shutdown."""

    session_timeout_seconds: WholeSeconds = Field(
        1800, description="Seconds that an untouched session lives."
    )
    enable_hot_reload: bool = Field(True, description="Take changed configuration files over while running.")
    config_watch_paths: Annotated[Names, Field(min_length=1)] = Field(
        ("./config",), description="Directories or files that are watched for changes."
    )
    checkpoint_interval_seconds: WholeSeconds = Field(
        300, description="Seconds between scheduled checkpoints."
    )
    max_checkpoints: Count = Field(10, description="Checkpoints that are kept.")
    checkpoint_compression: bool = Field(True, description="Compress checkpoints with zstd.")
    enable_graceful_shutdown: bool = Field(
        True, description="On SIGTERM finish what runs and hand back the rest."
    )
    shutdown_timeout_seconds: Seconds = Field(
        30, description="Seconds that a process may take to stop after SIGTERM."
    )


class BlobsSettings(Section):
    """Where archive, checkpoints and spilled data lie; its settings come with them."""
