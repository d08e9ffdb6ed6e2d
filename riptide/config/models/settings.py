"""The whole configuration, and the rules that tie several settings."""

from collections.abc import Iterator

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from riptide.config.models.cache import CacheSettings
from riptide.config.models.redis import RedisSettings
from riptide.config.models.schedule import ScheduleSettings
from riptide.config.models.state import BlobsSettings, StateSettings
from riptide.config.models.surface import ApiSettings, LogSettings, PerformanceSettings, WebhooksSettings
from riptide.config.models.tenant import SecuritySettings, TenantSettings
from riptide.config.models.work import DistributedSettings, StreamsSettings, WorkersSettings
from riptide.config.values import Section

Broken = tuple[tuple[str, ...], str]


class Settings(Section):
    """RipTide's configuration. `Settings()` is the defaults; `riptide.config.load()` reads the real one."""

    enable_persistence: bool = Field(
        True, description="Off, RipTide uses no server and does nothing; the service runs without it."
    )
    use_persistence_layer: bool = Field(
        True,
        description="Off, the service's own calls take its old path, and all else goes on: the way back.",
    )
    redis: RedisSettings = RedisSettings()
    cache: CacheSettings = CacheSettings()
    tenant: TenantSettings = TenantSettings()
    state: StateSettings = StateSettings()
    streams: StreamsSettings = StreamsSettings()
    workers: WorkersSettings = WorkersSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    blobs: BlobsSettings = BlobsSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    performance: PerformanceSettings = PerformanceSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    security: SecuritySettings = SecuritySettings()
    distributed: DistributedSettings = DistributedSettings()

    @model_validator(mode="after")
    def _rules_hold(self) -> "Settings":
        broken = list(_broken_rules(self))
        if broken:
            raise PydanticCustomError(
                "rules", "{text}", {"text": "; ".join(why for _, why in broken), "broken": broken}
            )
        return self


def _broken_rules(settings: Settings) -> Iterator[Broken]:
    redis, workers, distributed, api = (
        settings.redis,
        settings.workers,
        settings.distributed,
        settings.api,
    )
    if (redis.tls_certfile is None) != (redis.tls_keyfile is None):
        yield (
            ("redis.tls_certfile", "redis.tls_keyfile"),
            "a client certificate needs both redis.tls_certfile and redis.tls_keyfile",
        )
    if workers.retry_cap_seconds < workers.retry_base_seconds:
        yield (
            ("workers.retry_cap_seconds", "workers.retry_base_seconds"),
            "workers.retry_cap_seconds must be at least workers.retry_base_seconds",
        )
    # Otherwise one late heartbeat would cost a living worker its commands.
    if workers.lease_seconds * 1000 < 2 * distributed.heartbeat_interval_ms:
        yield (
            ("workers.lease_seconds", "distributed.heartbeat_interval_ms"),
            "workers.lease_seconds must be at least two distributed.heartbeat_interval_ms",
        )
    if api.jwt_jwks is not None and api.jwt_issuer is None:
        yield ("api.jwt_jwks", "api.jwt_issuer"), "tokens (api.jwt_jwks) need api.jwt_issuer"
    if api.jwt_jwks is not None and api.jwt_audience is None:
        yield ("api.jwt_jwks", "api.jwt_audience"), "tokens (api.jwt_jwks) need api.jwt_audience"
