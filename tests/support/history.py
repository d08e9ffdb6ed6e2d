"""The observers' log: what really happened, written by whoever saw it, apart from the server under test.

Every process appends to a file of its own, one line per record, each line in one write: what a killed
process had written before stays. All processes of a machine share the monotonic clock that orders the
records, whatever becomes of the clocks that the product is given.

What is recorded (`what`), and what else such a record holds; `token` names one command, given by its sender:

| what | by | |
|---|---|---|
| `sent` | producer | token: it is about to be published |
| `accepted` | producer | token, ref: publishing answered |
| `refused` | producer | token: the server refused it, nothing was published |
| `unknown` | producer | token: the producer gave up without an answer |
| `cancelled` | client | token: the server said that it is cancelled |
| `start` | handler | token, run, attempt, worker, ref, entry |
| `effect` | handler | token, run: the effect is in place |
| `end` | handler | token, run, how: done, again, dead, skip, cancelled |
| `ack` | transport | script, entry, first, worker, sent, reply: the server settled it, or refused to |
| `taking` | transport | worker (who is taken over), partition: about to be sent |
| `taken` | transport | worker, partition, sent: the server answered, that worker is fenced off there |
| `gone` | driver, or a poisoned handler | who: this process, or worker, does nothing from now on |
| `forgot` | driver | since: the server may have lost what it acknowledged between `since` and now |
| `revived` | driver | token: a dead letter was put back by an operator |
| `written` | origin | key, version |
| `invalidating`, `invalidated` | client | key, call: an invalidation begins; it is completed |
| `read` | client | key, version, since: a leased load or a server read that began at `since` |
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def now() -> int:
    """Nanoseconds of the clock that all processes of this machine share."""
    return time.monotonic_ns()


class Recorder:
    """Appends the records of this process to the history in `directory`. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(directory / f"{os.getpid()}.jsonl", flags, 0o600)
        self._pid = os.getpid()

    def add(self, what: str, **facts: Any) -> None:
        """One record, written before this returns."""
        self.add_all([{"what": what, **facts}])

    def add_all(self, records: Iterable[Record]) -> None:
        """Several records of one moment, in one write."""
        about = {"at": now(), "pid": self._pid}
        lines = [json.dumps(about | record, separators=(",", ":")) for record in records]
        if lines:
            os.write(self._file, ("\n".join(lines) + "\n").encode())

    def close(self) -> None:
        os.close(self._file)


def read_history(directory: Path) -> list[Record]:
    """All records of all processes, in the order in which they were made.

    The last line of one that was killed in the middle of a write, or is in one just now, may lack its end:
    who writes it has not gone on.
    """
    records = []
    for file in directory.glob("*.jsonl"):
        with file.open(encoding="utf-8") as lines:
            records += [json.loads(line) for line in lines if line.endswith("\n")]
    return sorted(records, key=lambda record: int(record["at"]))
