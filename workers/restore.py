"""Will carry out `restore`: the state, read back from a checkpoint (DESIGN §7)."""

from riptide.streams.later import arrives_later

handle = arrives_later("restore")
