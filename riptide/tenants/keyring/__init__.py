"""Tenants' data keys: made here, wrapped by a master key, kept in blobs of their own (docs/encryption.md)."""
