"""Connections, keys, operations and scripts: all that speaks to a server."""
