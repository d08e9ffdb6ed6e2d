"""What the rows of a checkpoint begin with, and what they are about: those of one kind are read together."""

from collections.abc import Callable, Iterator, Sequence

START, COMMAND, KEY, CUT, HOME, SUMS = b"start", b"command", b"key", b"cut", b"home", b"sums"
SESSION = b"session"
#: Section of tenants' records, which are read apart from all others.
RECORDS = b"tenants"

STARTS, COMMANDS, RECORD_KEYS, KEYS, USAGE_SUMS, SESSIONS = range(6)
_ABOUT = {START: STARTS, COMMAND: COMMANDS, SESSION: SESSIONS}
_ABOUT |= dict.fromkeys((CUT, HOME, SUMS), USAGE_SUMS)

#: All rows about one thing.
Rows = Callable[[int], Iterator[list[bytes]]]


def about(row: Sequence[bytes]) -> int:
    if row[0] == KEY:
        return RECORD_KEYS if row[1] == RECORDS else KEYS
    return _ABOUT[row[0]]
