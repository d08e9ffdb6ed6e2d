#!lua
-- Remembers a tenant that has no record, so that its accounts are found.
-- KEYS: 1 tenants without a record
-- ARGV: 1 tenant
-- Returns: 1, or 0 if it was known
return redis.call('ZADD', KEYS[1], 0, ARGV[1])
