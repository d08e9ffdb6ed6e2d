"""Checkpoints: the state, written to the blob store in bounded memory, and looked after there."""
