"""Whether this user of the server may do what RipTide does."""

from collections.abc import Sequence

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, few, ok, skipped, warn
from riptide.errors import ServerRefused
from riptide.store.keys import GROUP

#: One call of each command that workers and operators send; K stands for a key, S for a stream.
_CALLS = (
    "GET K", "MGET K", "SET K 1", "DEL K", "UNLINK K", "EXISTS K", "EXPIRE K 1", "PEXPIREAT K 1", "PTTL K",
    "PEXPIRETIME K", "STRLEN K", "GETRANGE K 0 1", "SETRANGE K 0 1", "INCR K", "TYPE K", "RENAME K K",
    "HGET K f", "HMGET K f", "HGETALL K", "HSET K f 1", "HDEL K f", "HINCRBY K f 1", "HLEN K", "HSCAN K 0",
    "ZADD K 1 m", "ZREM K m", "ZRANGE K 0 1", "ZSCORE K m", "ZCARD K", "ZCOUNT K 0 1", "ZSCAN K 0",
    "XADD S * f v", f"XREADGROUP GROUP {GROUP} c STREAMS S >", f"XACK S {GROUP} 1-1", "XRANGE S - +",
    "XLEN S", "XDEL S 1-1", "XTRIM S MINID 1", f"XPENDING S {GROUP}", f"XCLAIM S {GROUP} c 0 1-1",
    f"XGROUP CREATE S {GROUP} 0", f"XGROUP DELCONSUMER S {GROUP} c", "XINFO STREAM S", "XINFO GROUPS S",
    f"XINFO CONSUMERS S {GROUP}", "EVALSHA x 1 K", "EVAL x 1 K", "TIME", "INFO", "SCAN 0", "DBSIZE",
    "CLIENT ID",
)  # fmt: skip
_WITH_SUBCOMMAND = (
    *("XGROUP CREATE", "XGROUP DELCONSUMER", "XINFO STREAM", "XINFO GROUPS", "XINFO CONSUMERS"),
    "CLIENT ID",
)


def rights(facts: Facts) -> Sequence[Finding]:
    node = facts.nodes.names[0]
    places = {"K": facts.keys.control("doctor"), "S": facts.keys.commands("doctor", "10")}
    try:
        user = facts.nodes.ask(node, "ACL", "WHOAMI").decode()
        refused = []
        for call in _CALLS:
            words = [places.get(word, word) for word in call.split()]
            if facts.nodes.ask(node, "ACL", "DRYRUN", user, *words) != b"OK":
                two = " ".join(words[:2])
                refused.append(two if two in _WITH_SUBCOMMAND else words[0])
    except ServerRefused:
        return [skipped("this user may not ask what it may do (ACL DRYRUN): an administrator's may")]
    if refused:
        return [
            warn(
                f"user {user} may not: {few(refused, 12)}",
                "give it the rights of its role: config/acl has a template for each",
            )
        ]
    return [ok(f"user {user} may do what workers and operators do")]


CHECKS = (
    Check(
        "server.rights",
        "what this user of the server may do, by ACL DRYRUN",
        "A worker, service or operator that lacks a right fails when it first needs it.",
        rights,
    ),
)
