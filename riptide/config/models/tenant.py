"""Sections `tenant` and `security`."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from riptide.config.values import (
    MOST_BYTES,
    AnyCase,
    Bytes,
    Count,
    Mapping,
    Optional,
    Section,
    WholeSeconds,
)

Resource = Literal[
    "memory_bytes",
    "storage_bytes",
    "operations_per_minute",
    "data_per_minute_bytes",
    "data_transfer_bytes",
    "active_sessions",
    "cache_entries",
]


class TenantSettings(Section):
    """Who shares this deployment, and what each may use by default."""

    enabled: bool = Field(
        False, description="Several tenants; off, everything belongs to the tenant 'default'."
    )
    isolation_level: Annotated[Literal["strong", "logical", "none"], AnyCase] = Field(
        "strong",
        description="'strong': own keys, a record, limits; 'logical': own keys; 'none': one cache for all.",
    )
    max_tenants: Count = Field(1000, description="Tenants that may exist.")
    default_memory_quota: Bytes = Field(
        100 * 1024**2,
        ge=1,
        le=MOST_BYTES,
        description="Bytes of cache that a tenant may use unless its record says otherwise.",
    )
    default_ops_quota: Count = Field(
        1000, description="Operations a minute that a tenant may make unless its record says otherwise."
    )
    default_storage_quota: Bytes = Field(
        1024**3,
        ge=1,
        le=MOST_BYTES,
        description="Bytes stored outside the cache that a tenant may have unless its record says otherwise.",
    )
    default_session_quota: Count = Field(
        100, description="Sessions that a tenant may have at a time unless its record says otherwise."
    )
    outage_policy: Annotated[dict[Resource, Literal["open", "closed"]], Mapping] = Field(
        default_factory=dict,
        description="What a quota does while the server cannot be reached, by resource, as in "
        "{operations_per_minute: closed}; else rates are open and all others closed.",
    )
    suspend_after_refusals: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Refusals for quotas after which a tenant is suspended by itself; 0: it never is.",
    )
    suspend_window_seconds: int = Field(
        60, ge=1, le=3600, description="Seconds within which suspend_after_refusals are counted."
    )
    plans_file: str = Field(
        "config/plans.yml",
        min_length=1,
        description="The plans that tenants can have; where the default file is not there, RipTide's own.",
    )
    enable_billing: bool = Field(True, description="Close months and write invoices.")
    billing_interval_seconds: WholeSeconds = Field(
        60, description="Seconds between two updates of billing figures."
    )
    enable_encryption: bool = Field(False, description="Tenants may have their data encrypted at rest.")


class SecuritySettings(Section):
    """Encryption, audit and access for the whole deployment."""

    enable_encryption_at_rest: bool = Field(False, description="Encrypt the data of all tenants.")
    encryption_key: Annotated[SecretStr | None, Optional] = Field(
        None, description="Master key that wraps the tenants' keys. Secret: give it by variable."
    )
    encryption_key_file: Annotated[str | None, Optional] = Field(
        None, description="A file that holds the master key, instead of encryption_key."
    )
    enable_audit_logging: bool = Field(True, description="Record who did what to which tenant.")
    audit_retention_days: Count = Field(30, description="Days that audit records are kept.")
    enable_rate_limiting: bool = Field(True, description="Enforce the tenants' rates.")
    enable_rbac: bool = Field(True, description="Check the roles of callers of the HTTP API.")
