"""Entries that memory has no room for, moved to the blob store and back (DESIGN §7)."""
