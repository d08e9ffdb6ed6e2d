"""Will carry out `checkpoint`: the state, written to the blob store (DESIGN §7)."""

from riptide.streams.later import arrives_later

handle = arrives_later("checkpoint")
