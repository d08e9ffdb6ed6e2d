"""The models of all sections."""

from riptide.config.models.cache import CacheSettings
from riptide.config.models.redis import RedisSettings
from riptide.config.models.schedule import ScheduleEntry, ScheduleSettings
from riptide.config.models.settings import Settings
from riptide.config.models.state import BlobsSettings, StateSettings
from riptide.config.models.surface import ApiSettings, LogSettings, PerformanceSettings, WebhooksSettings
from riptide.config.models.tenant import SecuritySettings, TenantSettings
from riptide.config.models.work import DistributedSettings, StreamsSettings, WorkersSettings

__all__ = [
    "ApiSettings",
    "BlobsSettings",
    "CacheSettings",
    "DistributedSettings",
    "LogSettings",
    "PerformanceSettings",
    "RedisSettings",
    "ScheduleEntry",
    "ScheduleSettings",
    "SecuritySettings",
    "Settings",
    "StateSettings",
    "StreamsSettings",
    "TenantSettings",
    "WebhooksSettings",
    "WorkersSettings",
]
