"""Sessions of tenants' users: small documents with a time to live, whose fields change independently."""
