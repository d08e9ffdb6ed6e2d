"""Tenants: who they are, what they may use, and what they have used."""
