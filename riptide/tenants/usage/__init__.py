"""Usage: what tenants did, counted exactly once, by operation, hour and month (docs/usage.md).

`counting` is the effect of `record_usage`, `reading` tells the sums, `sealing` closes a month so that its
sums stay.
"""
