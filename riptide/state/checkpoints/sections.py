"""What a checkpoint holds besides usage and commands: sections, each some keys, and how they are put back.

To add one, name the first words of its keys here (`riptide:<word>:…`). Keys of any type are dumped by their
logical values, so that a checkpoint is read by another server, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

#: How a key is put back. `absent`: as a whole, where there is none; of an index (set, sorted set) members
#: that are not there. `merge`: fields, members and entries that are not there are added. `greatest`: of each
#: field the greater number stays. `record` and `session`: by rules of their own.
Way = Literal["absent", "merge", "greatest", "record", "session"]


def _every(_rest: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Section:
    """`words` are the first words of its keys; `keeps` is asked about what comes after the word. Keys
    `of_tenant` lie in a slot of the tenant's own, or if `in_partition` beside its commands, with its id in
    their names. Of a hash only fields that begin with `fields` are kept.
    With `unless` they are put back only where the control key of that name is not there, and that one
    last."""

    name: str
    words: tuple[str, ...]
    way: Way
    of_tenant: bool = False
    in_partition: bool = False
    keeps: Callable[[str], bool] = _every
    fields: str = ""
    unless: str = ""


def _is_whole(rest: str) -> bool:
    """A key of the tag alone, as `{acme}`, and for records no mirror, as `{acme.3}`."""
    return rest.endswith("}")


def _is_tenant(rest: str) -> bool:
    return _is_whole(rest) and "." not in rest


def _is_key_lane(rest: str) -> bool:
    """Lanes that stand for an idempotency key, or for a command that was replayed; the others live for
    minutes."""
    return rest.partition("}:")[2].startswith(("key-", "replay-"))


def _is_session(rest: str) -> bool:
    """What is kept about all sessions of a tenant is made anew of them."""
    return not rest.partition("}:")[2].startswith("~")


def _is_configuration(rest: str) -> bool:
    name = rest.partition("}:")[2]
    return name in {"config", "config:versions"} or name.startswith("config:source:")


def _is_popularity(rest: str) -> bool:
    return rest.endswith((":popular", ":load_times"))


def _is_api_key(rest: str) -> bool:
    """Of operators; those of tenants are theirs."""
    name = rest.partition("}:")[2]
    return name in {"api-keys", "api-keys:first", "api-keys:used"} or name.startswith("api-key:")


_LASTING = ("schedules", "paused", "audit", "purged", "tenants:unrecorded")


def _is_lasting(rest: str) -> bool:
    """What all processes agree on, without what is about living ones. The index of tenants is made of
    records."""
    return rest.partition("}:")[2] in _LASTING


SECTIONS: tuple[Section, ...] = (
    Section("tenants", ("registry",), "record", of_tenant=True, keeps=_is_tenant),
    Section("audit", ("audit",), "merge", of_tenant=True),
    Section("invoices", ("invoice",), "merge", of_tenant=True),
    # Only digests of them. What was revoked since stays so: it is still there.
    Section("api keys", ("apikey",), "absent", of_tenant=True),
    Section("operators' api keys", ("control",), "absent", keeps=_is_api_key),
    Section("quotas", ("quota",), "absent", of_tenant=True),
    # What the cache held, by month. The entries themselves are not part of a checkpoint.
    Section("accounts", ("account",), "greatest", of_tenant=True, keeps=_is_whole, fields="bs:"),
    Section("sessions", ("session",), "session", of_tenant=True, keeps=_is_session),
    # What was read most, for warming. Scores are absolute, so the higher one knows more.
    Section("popularity", ("access",), "greatest", of_tenant=True, in_partition=True, keeps=_is_popularity),
    # Versions of two histories have the same numbers: one that is there stays alone.
    Section("configuration", ("control",), "absent", keeps=_is_configuration, unless="config"),
    Section("control", ("control",), "merge", keeps=_is_lasting),
    Section("gone", ("gone",), "merge"),
    Section("dead letters", ("dead",), "merge"),
    Section("idempotency", ("lane",), "absent", keeps=_is_key_lane),
)
_BY_WORD: dict[str, list[Section]] = {}
for _section in SECTIONS:
    for _word in _section.words:
        _BY_WORD.setdefault(_word, []).append(_section)
BY_NAME = {section.name: section for section in SECTIONS}


def section_of(name: str) -> Section | None:
    """Whose a key is; `name` without the deployment's prefix."""
    word, _, rest = name.partition(":")
    return next((one for one in _BY_WORD.get(word, ()) if one.keeps(rest)), None)


def tag_of(name: str) -> str:
    """The hash tag of a key."""
    return name.partition("{")[2].partition("}")[0]


def tenant_of_key(name: str, *, in_partition: bool = False) -> str:
    """Whose a key of a section `of_tenant` is."""
    if in_partition:
        return name.partition("}:")[2].rpartition(":")[0]
    return tag_of(name).partition(".")[0]
