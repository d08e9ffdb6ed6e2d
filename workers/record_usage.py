"""Will carry out `record_usage`: a tenant's usage, counted exactly once (DESIGN §6)."""

from riptide.streams.later import arrives_later

handle = arrives_later("record_usage")
