"""Statistics of tenants: counted where entries are used, reported as `record_access`, added up by workers."""
