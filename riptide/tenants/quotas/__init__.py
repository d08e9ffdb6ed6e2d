"""Quotas and rate limits of tenants."""
