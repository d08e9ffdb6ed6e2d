"""Which keys are read most, and how long they take to load (docs/warming.md).

Each process counts the reads that it makes (`demand`) and reports them (`reports`); workers add them up on
the server, decayed and bounded (`merging`, count_access.lua). `reading` tells them in order; `moving` exports
and imports them.
"""
