"""Will carry out `record_access`: popularity and statistics from reads (DESIGN §5)."""

from riptide.streams.later import arrives_later

handle = arrives_later("record_access")
