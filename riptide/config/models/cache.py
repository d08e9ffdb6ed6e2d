"""Section `cache`: entries, their compression, loading and writing behind."""

from typing import Annotated, Any, Literal

from pydantic import Field

from riptide.config.values import (
    MOST_BYTES,
    AnyCase,
    Bytes,
    Count,
    Mapping,
    Names,
    Optional,
    Seconds,
    Section,
    WholeSeconds,
)

MIB = 1024**2


def _entry_limit(settings: dict[str, Any]) -> int:
    limit: int = settings["max_entry_size_bytes"]
    return limit


class CacheSettings(Section):
    """What is cached, for how long, how large, and how missing values are loaded."""

    key_prefix: str = Field(
        "riptide",
        pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*$",
        max_length=64,
        description="What every key begins with: letters, digits, '_', '.' and '-', with ':' in between.",
    )
    version: str = Field(
        "1",
        min_length=1,
        max_length=64,
        description="Part of every entry's key: another version sees none of the entries.",
    )
    default_ttl_seconds: WholeSeconds = Field(
        3600, description="Seconds an entry lives when its writer names no TTL."
    )
    max_entry_size_bytes: Bytes = Field(
        20 * MIB,
        ge=1,
        le=512 * MIB,
        description="Bytes of a value, before compression, above which it is refused. At most 512 MiB.",
    )
    max_memory_bytes: Bytes = Field(
        1024 * MIB, ge=MIB, le=MOST_BYTES, description="Bytes that all tenants' entries may take together."
    )
    eviction_policy: Annotated[Literal["lru", "lfu", "ttl", "random", "reject"], AnyCase] = Field(
        "lru",
        description="What gives way when memory is full, see docs/cache.md; 'reject' refuses the write.",
    )
    enable_spill: bool = Field(
        False,
        description="Move entries that would give way, or that were not used for longest, to the blob store; "
        "they come back when they are read. Those under 1 KiB are dropped as without it.",
    )
    enable_compression: bool = Field(True, description="Compress values where that saves at least 10 %.")
    compression_algorithm: Annotated[Literal["auto", "none", "lz4", "zstd"], AnyCase] = Field(
        "auto", description="'auto' takes LZ4 up to 100 KiB and zstd above; or one algorithm for all."
    )
    compression_threshold_bytes: Bytes = Field(
        1024, ge=0, le=MOST_BYTES, description="Bytes below which a value is never compressed."
    )
    enable_warming: bool = Field(
        True,
        description="Warm the cache when a deployment begins and by schedule; never delays a start.",
    )
    warming_batch_size: Count = Field(100, description="Keys that one step of warming looks up and loads.")
    warm_list: Names = Field(
        (),
        description="Keys to warm first, with commas between; a tenant may have its own, as warm_list.",
    )
    warm_access_logs: Names = Field(
        (),
        description="Access logs of a web server, plain or gzip, from which workers learn what to warm.",
    )
    warm_base_url: Annotated[str | None, Optional] = Field(
        None,
        pattern=r"^https?://[^/?#]+(/[^?#]*)?$",
        max_length=1000,
        description="What stands before the paths of an access log, as in https://www.example.org.",
    )
    popular_keys: int = Field(
        20_000,
        ge=0,
        le=1_000_000,
        description="Keys of a tenant, the most read ones, whose reads are counted; 0: none are.",
    )
    namespace_loaders: Annotated[dict[str, str], Mapping] = Field(
        default_factory=dict,
        description="What loads a namespace's entries where a command names no loader, as in "
        "{prices: shop.prices}; else http.",
    )
    loader_allowed_hosts: Names = Field(
        (),
        description="Hosts that the HTTP loader may fetch from; one named here may have a private address.",
    )
    loader_timeout_seconds: Seconds = Field(
        10, description="Seconds that fetching one value may take in all."
    )
    loader_max_bytes: Bytes = Field(
        default_factory=_entry_limit,
        ge=1,
        le=MOST_BYTES,
        description="Bytes of an answer above which the HTTP loader gives up; else max_entry_size_bytes.",
    )
    loader_max_redirects: int = Field(
        5, ge=0, le=20, description="Redirects that the HTTP loader follows at most."
    )
    loader_connections_per_host: Count = Field(4, description="Connections to one origin host at a time.")
    lease_seconds: Seconds = Field(
        10, description="Seconds one reader may take to load a missing entry before another reader may."
    )
    negative_ttl_seconds: WholeSeconds = Field(
        30, description="Seconds that 'the origin has no such value' is remembered."
    )
    stale_seconds: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Seconds after its TTL that a value may be served while a fresh one is loaded.",
    )
    on_outage: Annotated[Literal["miss", "raise"], AnyCase] = Field(
        "miss",
        description="What a read of the cache is while the server cannot be reached: 'miss', so that loaders "
        "are asked, or 'raise'. Writes and invalidations raise in any case.",
    )
    write_behind_max_entries: Count = Field(
        1000, description="Writes that a process buffers at most; further ones wait for a flush."
    )
    write_behind_flush_seconds: Seconds = Field(
        0.05, description="Seconds that a buffered write waits at most."
    )
