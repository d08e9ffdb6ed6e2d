"""The cache: entry format, entries, leases, invalidation, loading (docs/cache.md).

Where to look: `entry` and `codec` for the bytes, `space` for keys and shards, `reading`, `writing`,
`sending`, `invalidation`, `lease` and `loading` for operations and flows, `accounts/` for caps, eviction and
who looks after them, `lua/` for what the server does. `riptide.reads` holds the faces.

What is on the server, and when it goes:

- entry: its ttl and stale time, up to the next whole second of the server;
- account and index of entries (riptide.tenants.accounts): as long as the tenant;
- marks of namespaces with garbage: until that is swept;
- epoch: a time to live beyond that of any entry or lease written under it, prolonged by writes, about once a
  day; an invalidated namespace has none until something is written or loaded;
- set of namespaces with an epoch: as long as the longest of them, expired members struck off at each
prolonging;
- tag index: as long as its longest-lived entry; expired members are struck off by writes;
- doomed index: the tag index under another name while it is drained, with its time to live;
- tag stamp: the longest lease; lease: `cache.lease_seconds`;
- generation of tag invalidations: one counter for each slot of a tenant, gone with the tenant.
"""
