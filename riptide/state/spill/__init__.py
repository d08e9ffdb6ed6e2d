"""What memory has no room for, moved to the blob store and back (docs/sessions.md)."""
