"""Removing all that a tenant has, and handing it out before."""
