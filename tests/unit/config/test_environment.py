"""Every environment variable takes effect, or is named with the reason why it has none."""

from typing import Any

import pytest

from riptide.config import load
from riptide.config.catalog import catalog
from riptide.config.names import ENVIRONMENT, LEGACY, NO_MEANING

MIB = 1024**2

# variable, text, setting, value
EFFECTIVE: list[tuple[str, str, str, Any]] = [
    ("ENABLE_PERSISTENCE", "false", "enable_persistence", False),
    ("USE_PERSISTENCE_LAYER", "off", "use_persistence_layer", False),
    ("REDIS_POOL_SIZE", "7", "redis.pool_size", 7),
    ("PERSISTENCE_REDIS_POOL_SIZE", "7", "redis.pool_size", 7),
    ("POOL_MAX_SIZE", "7", "redis.pool_size", 7),
    ("REDIS_CONNECTION_TIMEOUT_MS", "100", "redis.connection_timeout_ms", 100),
    ("REDIS_COMMAND_TIMEOUT_MS", "100", "redis.command_timeout_ms", 100),
    ("REDIS_CLUSTER_MODE", "yes", "redis.cluster_mode", True),
    ("REDIS_RETRY_ATTEMPTS", "0", "redis.retry_attempts", 0),
    ("REDIS_RETRY_DELAY_MS", "20", "redis.retry_delay_ms", 20),
    ("REDIS_MAX_PIPELINE_SIZE", "50", "redis.max_pipeline_size", 50),
    ("CACHE_DEFAULT_TTL_SECONDS", "60", "cache.default_ttl_seconds", 60),
    ("CACHE_MAX_ENTRY_SIZE_BYTES", "1MiB", "cache.max_entry_size_bytes", MIB),
    ("CACHE_KEY_PREFIX", "shop:eu", "cache.key_prefix", "shop:eu"),
    ("CACHE_VERSION", "1.10", "cache.version", "1.10"),
    ("ENABLE_COMPRESSION", "0", "cache.enable_compression", False),
    ("CACHE_ENABLE_COMPRESSION", "No", "cache.enable_compression", False),
    ("PERSISTENCE_ENABLE_COMPRESSION", "FALSE", "cache.enable_compression", False),
    ("CACHE_COMPRESSION_THRESHOLD_BYTES", "0", "cache.compression_threshold_bytes", 0),
    ("CACHE_COMPRESSION_ALGORITHM", "LZ4", "cache.compression_algorithm", "lz4"),
    ("ENABLE_CACHE_WARMING", "false", "cache.enable_warming", False),
    ("CACHE_ENABLE_WARMING", "false", "cache.enable_warming", False),
    ("PERSISTENCE_ENABLE_WARMING", "false", "cache.enable_warming", False),
    ("CACHE_WARMING_BATCH_SIZE", "5", "cache.warming_batch_size", 5),
    ("CACHE_WARM_LIST", "https://a/1, https://a/2", "cache.warm_list", ("https://a/1", "https://a/2")),
    ("CACHE_MAX_MEMORY_BYTES", "2GiB", "cache.max_memory_bytes", 2048 * MIB),
    ("CACHE_EVICTION_POLICY", "reject", "cache.eviction_policy", "reject"),
    ("CACHE_LOADER_ALLOWED_HOSTS", "docs,10.0.0.7", "cache.loader_allowed_hosts", ("docs", "10.0.0.7")),
    ("ENABLE_MULTI_TENANCY", "1", "tenant.enabled", True),
    ("TENANT_ENABLED", "on", "tenant.enabled", True),
    ("PERSISTENCE_MULTI_TENANCY", "true", "tenant.enabled", True),
    ("TENANT_ISOLATION_LEVEL", "logical", "tenant.isolation_level", "logical"),
    ("TENANT_ENABLE_BILLING", "false", "tenant.enable_billing", False),
    ("TENANT_BILLING_INTERVAL_SECONDS", "61", "tenant.billing_interval_seconds", 61),
    ("MAX_TENANTS", "3", "tenant.max_tenants", 3),
    ("TENANT_MAX_TENANTS", "3", "tenant.max_tenants", 3),
    ("TENANT_ENABLE_ENCRYPTION", "true", "tenant.enable_encryption", True),
    ("TENANT_DEFAULT_MEMORY_QUOTA", "1048576", "tenant.default_memory_quota", MIB),
    ("TENANT_DEFAULT_OPS_QUOTA", "9", "tenant.default_ops_quota", 9),
    ("STATE_SESSION_TIMEOUT_SECONDS", "9", "state.session_timeout_seconds", 9),
    ("ENABLE_HOT_RELOAD", "false", "state.enable_hot_reload", False),
    ("STATE_ENABLE_HOT_RELOAD", "false", "state.enable_hot_reload", False),
    ("PERSISTENCE_HOT_RELOAD", "false", "state.enable_hot_reload", False),
    ("CONFIG_WATCH_PATH", "/etc/riptide", "state.config_watch_paths", ("/etc/riptide",)),
    ("STATE_CONFIG_WATCH_PATHS", "/a,/b", "state.config_watch_paths", ("/a", "/b")),
    ("CHECKPOINT_INTERVAL_SECONDS", "9", "state.checkpoint_interval_seconds", 9),
    ("STATE_CHECKPOINT_INTERVAL_SECONDS", "9", "state.checkpoint_interval_seconds", 9),
    ("STATE_MAX_CHECKPOINTS", "9", "state.max_checkpoints", 9),
    ("STATE_CHECKPOINT_COMPRESSION", "false", "state.checkpoint_compression", False),
    ("STATE_ENABLE_GRACEFUL_SHUTDOWN", "false", "state.enable_graceful_shutdown", False),
    ("STATE_SHUTDOWN_TIMEOUT_SECONDS", "1.5", "state.shutdown_timeout_seconds", 1.5),
    ("PERF_TARGET_CACHE_ACCESS_MS", "9", "performance.target_cache_access_ms", 9),
    ("PERF_ENABLE_MONITORING", "false", "performance.enable_monitoring", False),
    ("ENABLE_PERSISTENCE_METRICS", "false", "performance.enable_metrics", False),
    ("PERF_METRICS_INTERVAL_SECONDS", "9", "performance.metrics_interval_seconds", 9),
    ("PERF_ENABLE_SLOW_LOG", "false", "performance.enable_slow_log", False),
    ("PERF_SLOW_THRESHOLD_MS", "9", "performance.slow_threshold_ms", 9),
    ("PERF_METRICS_HOST", "0.0.0.0", "performance.metrics_host", "0.0.0.0"),
    ("PERF_METRICS_PORT", "9464", "performance.metrics_port", 9464),
    ("WEBHOOKS_URL", "https://h/x", "webhooks.url", "https://h/x"),
    ("SECURITY_ENABLE_ENCRYPTION_AT_REST", "true", "security.enable_encryption_at_rest", True),
    ("SECURITY_ENABLE_AUDIT_LOGGING", "false", "security.enable_audit_logging", False),
    ("SECURITY_AUDIT_RETENTION_DAYS", "9", "security.audit_retention_days", 9),
    ("SECURITY_ENABLE_RATE_LIMITING", "false", "security.enable_rate_limiting", False),
    ("SECURITY_ENABLE_RBAC", "false", "security.enable_rbac", False),
    ("DISTRIBUTED_NODE_ID", "host-7", "distributed.node_id", "host-7"),
    ("DISTRIBUTED_HEARTBEAT_INTERVAL_MS", "500", "distributed.heartbeat_interval_ms", 500),
    ("LOG_LEVEL", "WARNING", "log.level", "warning"),
    ("LOG_FORMAT", "json", "log.format", "json"),
]
SECRET = [
    ("REDIS_URL", "redis://h:1/2", "redis.url"),
    ("SECURITY_ENCRYPTION_KEY", "k3y", "security.encryption_key"),
    ("WEBHOOKS_SECRET", "k3y", "webhooks.secret"),
]
WITHOUT_MEANING = [
    ("REDIS_ENABLE_PIPELINING", "redis.enable_pipelining"),
    ("POOL_MIN_SIZE", "pool.min_size"),
    ("POOL_IDLE_TIMEOUT_SECONDS", "pool.idle_timeout_seconds"),
    ("POOL_MAX_LIFETIME_SECONDS", "pool.max_lifetime_seconds"),
    ("DISTRIBUTED_ENABLED", "distributed.enabled"),
    ("DISTRIBUTED_CONSENSUS_TIMEOUT_MS", "distributed.consensus_timeout_ms"),
]


@pytest.mark.parametrize(("variable", "text", "path", "value"), EFFECTIVE)
def test_a_variable_sets_its_setting(variable: str, text: str, path: str, value: object) -> None:
    loaded = load(environ={variable: text})
    assert catalog()[path].value(loaded.settings) == value != catalog()[path].value(load(environ={}).settings)
    assert loaded.sources[path] == f"env {variable}"
    assert loaded.notices == []


@pytest.mark.parametrize(("variable", "text", "path"), SECRET)
def test_a_variable_sets_a_secret(variable: str, text: str, path: str) -> None:
    loaded = load(environ={variable: text})
    assert catalog()[path].value(loaded.settings).get_secret_value() == text
    assert loaded.sources[path] == f"env {variable}"


@pytest.mark.parametrize(("variable", "path"), WITHOUT_MEANING)
def test_a_variable_without_meaning_is_named_with_the_reason(variable: str, path: str) -> None:
    loaded = load(environ={variable: "1"})
    assert loaded.notices == [f"env {variable}: {path} has no meaning here: {NO_MEANING[path]}"]
    assert loaded.settings == load(environ={}).settings


def test_the_tables_here_and_there_name_the_same_variables() -> None:
    here = [row[0] for row in (*EFFECTIVE, *SECRET, *WITHOUT_MEANING)]
    assert sorted(here) == sorted(ENVIRONMENT)


def test_every_name_leads_to_a_setting_or_to_a_reason() -> None:
    assert {*ENVIRONMENT.values(), *LEGACY.values()} <= {*catalog(), *NO_MEANING}
    assert not set(NO_MEANING) & set(catalog())


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environ={"REDIS_POOL_SIZE": ""}).sources["redis.pool_size"] == "default"


def test_nothing_given_means_defaults_and_no_notice() -> None:
    loaded = load(environ={})
    assert loaded.notices == []
    assert loaded.path is None
    assert set(loaded.sources.values()) == {"default"}
