"""Which keys come first: those that spare readers most waiting."""

from riptide.cache.popularity.reading import Popular
from riptide.cache.warming.choosing import choose


def popular(key: str, reads: float, load_us: int | None, namespace: str = "pages") -> Popular:
    return Popular(namespace, key, reads, load_us, 0)


ROWS = [
    popular("often", 100, 10),
    popular("slow", 10, 1000),
    popular("unknown", 5, None),  # 505 us, the mean of the others
    popular("other", 1, None, "prices"),
]


def test_reads_times_load_time() -> None:
    chosen = choose(ROWS, {}, "pages", 10)
    assert chosen == [("pages", "slow"), ("pages", "unknown"), ("pages", "often"), ("prices", "other")]
    assert choose(ROWS, {}, "pages", 2) == chosen[:2]


def test_a_log_counts_beside_it() -> None:
    """What both know counts once, by what is more."""
    chosen = choose(ROWS, {"often": 2000, "unknown": 1, "new": 3}, "pages", 3)
    assert chosen == [("pages", "often"), ("pages", "slow"), ("pages", "unknown")]


def test_a_log_alone_takes_times_from_it() -> None:
    chosen = choose(ROWS, {"often": 3, "slow": 2, "new": 2}, "pages", 10, only_logged=True)
    assert chosen == [("pages", "slow"), ("pages", "new"), ("pages", "often")]
    assert choose([], {"a": 1, "b": 2}, "pages", 10) == [("pages", "b"), ("pages", "a")]
