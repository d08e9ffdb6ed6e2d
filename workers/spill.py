"""Will carry out `spill`: cold sessions and entries, moved to the blob store (DESIGN §7)."""

from riptide.streams.later import arrives_later

handle = arrives_later("spill")
