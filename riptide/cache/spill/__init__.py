"""Entries that memory has no room for, moved to the blob store and back (docs/cache.md)."""
