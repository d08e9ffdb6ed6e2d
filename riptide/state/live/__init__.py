"""Files are watched, and what changes is switched in every process (docs/live-configuration.md)."""
