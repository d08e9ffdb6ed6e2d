"""What requests hold and answers look like."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from riptide.api.parameters import CHECKPOINT, REF, TENANT
from riptide.config.models.tenant import Resource
from riptide.state.checkpoints.manifest import Manifest
from riptide.streams.job import Progress
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.registry.facts import Email, Owner, Text
from riptide.tenants.registry.policies import Rule
from riptide.tenants.resources import MOST, UNLIMITED

TenantId = Annotated[str, StringConstraints(pattern=TENANT)]


def _whole(value: Any) -> Any:
    """To JSON 5.0 is a whole number, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
Quota = Annotated[int, Field(ge=UNLIMITED, le=MOST), Whole]
#: Printable in every terminal.
PRINTABLE = "^[ -~\u00a1-\u00ac\u00ae-\u024f]*$"
Why = Annotated[str, StringConstraints(max_length=500, pattern=PRINTABLE)]
Pattern = Annotated[str, StringConstraints(pattern=r"^[!-)+-~]{0,199}(\*|[!-)+-~])$")]
Cursor = Annotated[str | None, Field(description="Where the next page begins; null: there is none.")]
Moment = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]
Bag = dict[str, JsonValue]


class Body(BaseModel):
    """What is sent: nothing but what is named here."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class NewTenant(Body):
    """A tenant to be made. Without an `id` it gets one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "acme",
                    "name": "Acme Ltd",
                    "owner_email": "ops@acme.example",
                    "owner_name": "Ada",
                    "billing_plan": "basic",
                    "quotas": {"operations_per_minute": 5000},
                }
            ]
        }
    )

    name: Text
    owner_email: Email
    owner_name: Text
    billing_plan: str = Field(description="One of the plans of `tenant.plans_file`.")
    quotas: dict[Resource, Quota | None] | None = Field(
        None, description="Limits of its own, over those of the plan; -1: unlimited."
    )
    id: TenantId | None = None
    owner_id: Text | None = None
    organization: Text | None = None
    settings: Bag | None = None
    metadata: Bag | None = None
    shards: Annotated[Literal[1, 2, 4, 8, 16], Whole] = Field(
        1, description="Over how many slots of a cluster its data is spread, for ever."
    )


class TenantChange(Body):
    """What is to change; what is left out stays. A null in quotas, settings or metadata takes that back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"billing_plan": "professional", "quotas": {"memory_bytes": None}}]}
    )

    name: Text | None = None
    owner_email: Email | None = None
    owner_name: Text | None = None
    owner_id: Text | None = None
    organization: Text | None = None
    billing_plan: str | None = Field(None, description="One of the plans of `tenant.plans_file`.")
    quotas: dict[Resource, Quota | None] | None = None
    settings: Bag | None = None
    metadata: Bag | None = None


class PlanSince(BaseModel):
    since: Moment
    plan: str


class Tenant(BaseModel):
    """`limits` are those of its plan, and over them its own, the `overrides`; -1: unlimited."""

    tenant_id: str
    name: str
    status: Literal["pending", "active", "suspended", "disabled"]
    why: str
    billing_plan: str
    owner: Owner
    settings: Bag
    metadata: Bag
    limits: dict[str, int]
    overrides: dict[str, int]
    policies: list[Rule]
    plans: list[PlanSince]
    shards: int
    encrypted: bool
    revision: int
    created_at: Moment
    changed_at: Moment


class Tenants(BaseModel):
    tenants: list[Tenant]
    cursor: Cursor


class Reason(Body):
    """Why, for others to read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "unpaid since October"}]})

    why: Why = ""


class NewRule(Body):
    """Allows an action on a resource; each may end with `*`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"resource": "pages:*", "action": "read"}]})

    resource: Pattern
    action: Pattern


class Policies(BaseModel):
    """Without any rule everything is allowed; with one, only what a rule allows."""

    policies: Sequence[Rule]


class QuotaStanding(BaseModel):
    """`limit` -1 is unlimited; seconds are null where they are not known."""

    resource: str
    source: str
    limit: int
    used: int
    remaining: int | None
    retry_after: float | None
    reset_after: float | None


class Quotas(BaseModel):
    quotas: list[QuotaStanding]


class Amounts(BaseModel):
    operations: int
    data_bytes: int
    compute_ms: int
    storage_bytes: int


class Counted(Amounts):
    by_operation: dict[str, Amounts]


class Usage(Amounts):
    """`adjustments` are the part that came after the month was sealed; the next invoice carries them."""

    tenant: str
    month: str
    storage_byte_hours: int
    by_operation: dict[str, Amounts]
    sealed: bool
    adjustments: Counted
    by_hour: dict[str, Counted] | None = None


class Invoices(BaseModel):
    invoices: list[Invoice]
    cursor: Cursor


class CommandState(BaseModel):
    """Where a command stands: queued, scheduled, running, retrying, done, skipped, dead, cancelled, unknown.
    Without `?wait=` publishing tells its reference alone."""

    ref: str
    state: str | None = None
    attempts: int | None = None
    worker: str | None = None
    error: str | None = None
    due: Moment = None
    dead_letter: str | None = None
    progress: Progress | None = None
    value: Any = None


class CheckpointWish(Body):
    """Why it is written."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "before the migration"}]})

    kind: Literal["manual", "emergency"] = "manual"
    note: str = Field("", max_length=1000, description="Shown where checkpoints are listed.")


class RestoreScope(Body):
    """Whose state is brought back; left out, everybody's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tenants": ["acme"], "dry_run": True}]})

    tenants: list[TenantId] | None = Field(None, min_length=1, max_length=10_000)
    dry_run: bool = Field(False, description="Verify everything, and only tell what would change.")


class RestoreWish(RestoreScope):
    """The same of the checkpoint that is named."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"checkpoint": "20261120T120500Z-1f3a9c07", "dry_run": True}]}
    )

    checkpoint: str = Field(pattern=CHECKPOINT)


class Checkpoints(BaseModel):
    """Newest first; `problems` tells what is wrong with those that cannot be read."""

    checkpoints: list[Manifest]
    problems: list[str]
    cursor: Cursor


class MemberFacts(BaseModel):
    """A process; `config` is the version of the configuration that it has, null: its own file's."""

    name: str
    process: str
    role: str
    host: str
    pid: int
    version: str
    config: str | None
    commands: list[str]
    running: dict[str, int]
    position: dict[str, str]
    started_at: Moment
    silent_seconds: float
    quiet: bool


class Held(BaseModel):
    """`cap_bytes` is what all of them may take in memory."""

    items: int
    memory_bytes: int
    cap_bytes: int


class Memory(BaseModel):
    sessions: Held
    entries: Held


class Spilled(BaseModel):
    spilled: int
    storage_bytes: int
    total_spilled: int
    total_restored: int
    avg_spill_time_ms: float
    avg_restore_time_ms: float


class Spills(BaseModel):
    sessions: Spilled
    entries: Spilled


class ConfigurationState(BaseModel):
    """`current` is the deployment's version, null: none yet; `own` that of this process."""

    current: str | None
    own: str | None
    needs_restart: list[str]


class CurrentState(BaseModel):
    members: list[MemberFacts]
    configuration: ConfigurationState
    memory: Memory
    spill: Spills
    last_checkpoint: Manifest | None


class PauseFacts(BaseModel):
    since: Moment
    by: str
    why: str


class ArchiveFacts(BaseModel):
    lag: int | None
    oldest_seconds: float | None


class StreamFacts(BaseModel):
    """`lag` counts commands that no worker has seen, null: more than can be told cheaply; `pending` those
    that are worked on."""

    type: str
    entries: int
    lag: int | None
    pending: int
    consumers: int
    retries: int
    dead: int
    oldest_seconds: float | None
    delivered: int | None
    pinned_by: str | None
    paused: PauseFacts | None
    archive: ArchiveFacts | None


class Streams(BaseModel):
    streams: list[StreamFacts]


class DeadFacts(BaseModel):
    """`source` is the reference that its publisher holds."""

    ref: str
    type: str
    died_at: Moment
    tenant: str | None
    reason: str
    error: str
    attempts: int
    worker: str
    id: str
    source: str
    issued_at: Moment


class DeadPage(BaseModel):
    dead: list[DeadFacts]
    cursor: Cursor


class DeadChoice(Body):
    """Which dead letters: those named by `refs`, or `all`, or those that `type` and `error` choose. What is
    given together narrows; where nothing is, nothing is done."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "warm", "error": "timeout"}],
        }
    )

    refs: list[Annotated[str, StringConstraints(pattern=REF)]] | None = Field(
        None, min_length=1, max_length=1000
    )
    type: str | None = Field(None, min_length=1, description="Only commands of this type.")
    error: str | None = Field(
        None, min_length=1, description="Only those whose reason or error contains this."
    )
    all: bool = False


class DeadOutcome(BaseModel):
    """`done` of them; `gone` were there no more; `more`: there are more, so ask again."""

    done: int
    gone: int
    more: bool


class AuditFacts(BaseModel):
    id: str
    timestamp: Moment
    tenant_id: str
    actor: str
    operation: str
    resource: str
    result: str
    metadata: dict[str, Any]


class AuditPage(BaseModel):
    """The newest first."""

    records: list[AuditFacts]
    cursor: Cursor


class HealthFacts(BaseModel):
    """ok, degraded (it serves without part of what it needs) or down; and of each component."""

    state: Literal["ok", "degraded", "down"]
    components: dict[str, Any]


class Alive(BaseModel):
    state: Literal["ok", "degraded", "down"]
