"""How a record says that its tenant is being purged.

It keeps its place until the end, closed and with another incarnation: so everything that was learnt of the
tenant before is out of date, and nothing new can be learnt that would let anybody write.
"""

_SUFFIX = "-purging"


def begun(incarnation: str) -> str:
    """What stands in the record instead of `incarnation` while it is purged."""
    return incarnation + _SUFFIX


def is_begun(incarnation: str) -> bool:
    return incarnation.endswith(_SUFFIX)


def without_mark(incarnation: str) -> str:
    return incarnation.removesuffix(_SUFFIX)
