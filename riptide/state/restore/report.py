"""What a restore has done, or would do."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """`tenants` counts records by what became of them: created, changed, unchanged, purged (they stay so),
    replaced (another tenant has the id by now). `items` counts what was added by section. `corrected` are
    tenants' sums of usage, by partition, that were not right; `counted` commands of usage that came after the
    checkpoint; `commands` unfinished ones that were published again. `positions` tells, by partition, up to
    which entry usage is complete; `beyond`, where the archive had not come so far as the checkpoint, up to
    which that of some tenants may be there."""

    checkpoint: str
    dry_run: bool
    tenants: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    corrected: int = 0
    counted: int = 0
    commands: int = 0
    positions: dict[str, str] = field(default_factory=dict)
    beyond: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "tenants": dict(self.tenants),
            "items": {name: count for name, count in sorted(self.items.items()) if count},
        }

    def brief(self) -> dict[str, Any]:
        """For the audit trail."""
        return {
            "tenants": dict(self.tenants),
            "sessions": self.items["sessions"],
            "corrected": self.corrected,
            "commands": self.commands,
        }
