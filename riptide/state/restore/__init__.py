"""Restoring: from a checkpoint, and from what the archive and the streams hold of the time after it."""
