"""Will carry out `close_period`: a month's usage, sealed and invoiced (DESIGN §6)."""

from riptide.streams.later import arrives_later

handle = arrives_later("close_period")
