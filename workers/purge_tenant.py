"""Will carry out `purge_tenant`: every key of a tenant, removed (DESIGN §6)."""

from riptide.streams.later import arrives_later

handle = arrives_later("purge_tenant")
