"""Notices: tenants near a quota or suspended, and dead letters, told to a webhook once."""
