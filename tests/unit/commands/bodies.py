"""Good bodies of every command, as hypothesis strategies of JSON objects."""

from typing import Any

from hypothesis import strategies as st

from commands._fields import MAX_AMOUNT, MAX_MOMENT
from riptide.cache.stats import COUNTED
from riptide.names import MAX_KEY_BYTES

Body = dict[str, Any]

amounts = st.integers(0, MAX_AMOUNT)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", fullmatch=True)
namespaces = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,62}", fullmatch=True)
tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
keys = st.text(min_size=1, max_size=60).filter(lambda key: len(key.encode()) <= MAX_KEY_BYTES)
key_lists = st.lists(keys, min_size=1, max_size=5)
notes = st.text(max_size=100)
moments = st.integers(0, MAX_MOMENT)


def _body(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[Body]:
    return st.fixed_dictionaries(required, optional=optional)


_warm_options = {
    "namespace": namespaces,
    "top": st.integers(1, 1_000_000),
    "loader": names,
    "ttl": st.integers(1, 315_360_000),
    "refresh": st.booleans(),
}
_sources = st.sampled_from(["list", "popular", "access_log", "all"])

BODIES: dict[str, st.SearchStrategy[Body]] = {
    "warm": _body({"keys": key_lists}, **_warm_options)
    | _body({"source": _sources}, **_warm_options, every_tenant=st.booleans()),
    "invalidate": st.one_of(
        _body({"keys": key_lists}, namespace=namespaces, tags=key_lists),
        _body({"tags": key_lists}, namespace=namespaces),
        _body({"namespace": namespaces}, all=st.just(False)),
        _body({"all": st.just(True)}),
    ),
    "record_usage": _body(
        {"operation": names},
        operation_count=amounts,
        data_bytes=amounts,
        compute_ms=amounts,
        storage_bytes=amounts,
        at=moments,
    ).filter(
        lambda body: (
            body.get("operation_count", 1)
            or any(body.get(name) for name in ("data_bytes", "compute_ms", "storage_bytes"))
        )
    ),
    "record_access": _body(
        {},
        process=names,
        namespace=namespaces,
        **dict.fromkeys(COUNTED, amounts),
        keys=st.dictionaries(keys, amounts, max_size=5),
        load_us=st.dictionaries(keys, amounts, max_size=5),
    ),
    "checkpoint": _body(
        {},
        kind=st.sampled_from(["manual", "scheduled", "shutdown", "emergency"]),
        scope=st.sampled_from(["state", "all"]),
        note=notes,
    ),
    "restore": _body(
        {"checkpoint": names}, tenants=st.lists(tenants, min_size=1, max_size=5), dry_run=st.booleans()
    ),
    "reload": _body(
        {
            "blob": st.text(min_size=1, max_size=100),
            "content_hash": st.text("0123456789abcdef", min_size=64, max_size=64),
        },
        origin=st.text(min_size=1, max_size=100),
    ),
    "purge_tenant": _body({"incarnation": st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)}, note=notes),
    "spill": _body({}, what=st.sampled_from(["sessions", "entries"]), keep_bytes=st.integers(0, 2**50)),
    "notify": _body(
        {"event": st.sampled_from(["quota", "suspended", "dead_letters"]), "at": moments},
        resource=names,
        level=st.integers(0, 100),
        share=st.integers(0, 2**50),
        kind=names,
        count=amounts,
        why=notes,
    ),
    "close_period": _body({"period": st.from_regex(r"[0-9]{4}-(0[1-9]|1[0-2])", fullmatch=True)}),
}
