"""Live configuration: files are watched, and what changes is switched in every process (DESIGN §7)."""
