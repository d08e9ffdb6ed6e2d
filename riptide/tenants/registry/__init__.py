"""The tenants' records, who may do what, and who did what."""
