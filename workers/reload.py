"""Will carry out `reload`: a new configuration, validated and switched everywhere (DESIGN §7)."""

from riptide.streams.later import arrives_later

handle = arrives_later("reload")
