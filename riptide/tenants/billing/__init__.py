"""What tenants owe: computed from sealed usage and plans alone, in whole micro-units (docs/billing.md)."""
