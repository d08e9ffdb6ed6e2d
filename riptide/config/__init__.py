"""Configuration: `load()` reads it, `Settings` is what it is."""

from riptide.config.loader import Loaded, load
from riptide.config.models import (
    ApiSettings,
    BlobsSettings,
    CacheSettings,
    DistributedSettings,
    LogSettings,
    PerformanceSettings,
    RedisSettings,
    ScheduleEntry,
    ScheduleSettings,
    SecuritySettings,
    Settings,
    StateSettings,
    StreamsSettings,
    TenantSettings,
    WebhooksSettings,
    WorkersSettings,
)
from riptide.config.values import RedisUrl

__all__ = [
    "ApiSettings",
    "BlobsSettings",
    "CacheSettings",
    "DistributedSettings",
    "Loaded",
    "LogSettings",
    "PerformanceSettings",
    "RedisSettings",
    "RedisUrl",
    "ScheduleEntry",
    "ScheduleSettings",
    "SecuritySettings",
    "Settings",
    "StateSettings",
    "StreamsSettings",
    "TenantSettings",
    "WebhooksSettings",
    "WorkersSettings",
    "load",
]
