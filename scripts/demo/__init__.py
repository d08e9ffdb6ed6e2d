"""What `scripts/run` does: start everything, drive real input through it, show what happens, and judge it."""
