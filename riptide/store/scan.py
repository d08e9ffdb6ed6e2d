"""The names of keys, from every node that holds some. For tools that look at a whole server."""

from collections.abc import Iterator

from riptide.store.nodes import Nodes


class Scan(Nodes):
    """Connections of its own, one to each node; to be closed."""

    def size(self) -> int:
        """How many keys there are, of everybody."""
        return sum(int(self.ask(node, "DBSIZE")) for node in self.names)

    def pages(self, pattern: str, about: int = 500) -> Iterator[tuple[int, list[bytes]]]:
        """How many keys were looked at for it, about, and those that match. A key may come twice."""
        for node in self.names:
            cursor: bytes = b"0"
            while True:
                cursor, names = self.ask(node, "SCAN", cursor, "MATCH", pattern, "COUNT", about)
                yield about, names
                if cursor == b"0":
                    break
