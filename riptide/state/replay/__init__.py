"""Replaying: commands that were published before, published again, from their streams or from the archive."""
