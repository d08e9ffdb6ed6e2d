"""What the parts of RipTide touch."""

from riptide.metrics.counting import Count, Spread

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_LONG = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_MINUTES = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_SIZES = tuple(256 * 4**power for power in range(9))  # to 16 MiB

ACCESS_SECONDS = Spread("riptide_cache_access_duration_seconds", _FAST)
ENTRY_BYTES = Spread("riptide_cache_entry_size_bytes", _SIZES)
EVICTIONS = Count("riptide_cache_evictions_total", [("policy",), ("deployment",)])
COMMAND_SECONDS = Spread("riptide_command_duration_seconds", _LONG)
OUTCOMES = Count("riptide_command_outcomes_total")
RELOADS = Count("riptide_config_reloads_total", [("switched",), ("refused",)])
CHECKPOINTS = Count("riptide_checkpoints_total")
CHECKPOINT_SECONDS = Spread("riptide_checkpoint_duration_seconds", _MINUTES)
USAGE_DROPPED = Count("riptide_usage_dropped_total", [("refused",), ("lost",)])
SPILLOVER = Count(
    "riptide_spillover_operations_total",
    [(what, operation) for what in ("entries", "sessions") for operation in ("spill", "restore")],
)
PRESSURE = Count(
    "riptide_memory_pressure_events_total", [("cache",), ("sessions",), ("server",), ("refused",)]
)
