"""Caps on what tenants' entries take, eviction, and who looks after all accounts."""
