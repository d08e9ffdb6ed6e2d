"""Exact accounts of what a tenant's cache entries take, kept by every script that writes or removes them."""
