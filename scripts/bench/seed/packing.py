"""What compression saves and takes, on real documents."""

from collections.abc import Iterator

from riptide.cache.codec import Codec
from riptide.config import CacheSettings
from scripts.bench.seed.corpus import pieces
from scripts.bench.seed.rows import Row, median, times_ms

_PROMISED = (
    ("lz4", 10, 40.3, 0.2),
    ("lz4", 100, 37.5, 1.1),
    ("zstd", 10, 34.8, 0.4),
    ("zstd", 100, 30.5, 2.3),
)
_ROUNDS = 5


def measured() -> Iterator[Row]:
    for algorithm, size, percent, milliseconds in _PROMISED:
        codec = Codec(CacheSettings(compression_algorithm=algorithm))
        documents = pieces(size * 1024)
        packed = sum(len(codec.compress(document)[1]) for document in documents)
        took = times_ms(codec.compress, documents * _ROUNDS)
        what = f"{algorithm} of {size} KB"
        note = f"{len(documents)} documents, HTML and JSON"
        yield Row(f"{what}: to", percent, 100 * packed / sum(map(len, documents)), "%", note=note)
        yield Row(f"{what}: in", milliseconds, median(took), "ms")
