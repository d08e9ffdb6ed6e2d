"""The cache: entry format, entries, leases, invalidation, loading (DESIGN §5)."""
