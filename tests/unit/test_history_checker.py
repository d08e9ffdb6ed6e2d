"""The checker of the whole history: bad histories, made by hand, and the violation that it must name."""

from typing import Any

import pytest

from tests.support.checker import Census, Verdict, check
from tests.support.history import Record, Recorder, read_history

REF, ENTRY = "step.10.5-0", "5-0"
A, B = "host.1.a", "host.2.b"
DEAD = Census(dead=[REF])


class History:
    """Records one millisecond apart, in the order in which they are told."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    @property
    def now(self) -> int:
        return len(self.records)

    def add(self, what: str, **facts: Any) -> "History":
        self.records.append({"what": what, "at": self.now, "pid": 0, "token": "t", **facts})
        return self

    def published(self, ref: str = REF) -> "History":
        return self.add("sent").add("accepted", ref=ref)

    def start(self, worker: str = A, attempt: int = 1, ref: str = REF) -> "History":
        pid = int(worker.split(".")[1])
        return self.add("start", run=f"{worker}{attempt}", pid=pid, worker=worker, attempt=attempt, ref=ref)

    def done(self, worker: str = A, attempt: int = 1) -> "History":
        return self.add("effect", run=f"{worker}{attempt}").end("done", worker, attempt)

    def end(self, how: str, worker: str = A, attempt: int = 1) -> "History":
        return self.add("end", run=f"{worker}{attempt}", how=how)

    def ack(
        self, script: str = "complete", worker: str = A, reply: int | None = 1, sent: int | None = None
    ) -> "History":
        facts = {"entry": REF, "first": REF, "partition": "10", "reply": reply}
        return self.add("ack", script=script, worker=worker, sent=self.now if sent is None else sent, **facts)

    def taken(self, worker: str = A) -> "History":
        self.add("taking", worker=worker, partition="10")
        return self.add("taken", worker=worker, partition="10", sent=self.now - 1)

    def verdict(self, census: Census | None = None) -> Verdict:
        return check(self.records, census or Census())


def published() -> History:
    return History().published()


def tried(times: int) -> History:
    history = published()
    for attempt in range(1, times + 1):
        history.start(attempt=attempt).end("again", attempt=attempt).ack("retry")
    return history


GOOD: dict[str, tuple[History, Census | None]] = {
    "done": (published().start().done().ack(), None),
    "done, and the answer was lost": (published().start().done(), None),
    "retried": (
        published().start().end("again").ack("retry").start(attempt=2).done(attempt=2).ack("settle"),
        None,
    ),
    "killed before it ended": (
        published().start().add("gone", who=1).start(B, 2).done(B, 2).ack(worker=B),
        None,
    ),
    "killed between effect and acknowledgement": (
        published().start().done().add("gone", who=1).start(B, 2).done(B, 2).ack(worker=B),
        None,
    ),
    "a zombie finishes what it began": (
        published().start().taken().start(B, 2).done(B, 2).ack(worker=B).done().ack(reply=-1),
        None,
    ),
    "a zombie finishes after the dead letter": (
        published().start().taken().start(B, 2).end("dead", B, 2).ack("bury", B).done().ack(reply=-1),
        DEAD,
    ),
    "skipped": (published().start().end("skip").ack("settle"), None),
    "dead": (published().start().end("dead").ack("bury"), DEAD),
    "revived": (
        published().start().end("dead").ack("bury").add("revived").start(attempt=1).done().ack(),
        None,
    ),
    "cancelled": (published().add("cancelled"), None),
    "handed back": (published().start().end("cancelled").ack("hand_back").start(B, 2).done(B, 2), None),
    "refused": (History().add("sent").add("refused"), None),
    "nobody knows whether it was published": (History().add("sent").add("unknown"), None),
    "a flush between": (published().add("forgot", since=0), None),
    "an acknowledgement that a failover lost": (
        published().start().done().ack().add("forgot", since=4).start(B, 2).done(B, 2).ack(worker=B),
        None,
    ),
    "an answer on its way when it was fenced": (
        published().start().done().taken().ack(sent=4),
        None,
    ),
}

GOOD["a zombie begins what it had read before it was stopped"] = (
    published().taken().start(B).end("dead", B).ack("bury", B).start().done().ack(reply=-1),
    DEAD,
)
BAD: dict[str, tuple[History, Census | None, str]] = {
    "accepted and never heard of": (published(), None, "lost"),
    "begun and forgotten": (published().start().add("gone", who=1), None, "lost"),
    "left behind": (published(), Census(unfinished={REF: "unread"}), "lost"),
    "done, and still held": (published().start().done(), Census(unfinished={REF: "held by x"}), "lost"),
    "called done without an effect": (published(), Census(states={REF: "done"}), "lost"),
    "acknowledged without an effect": (published().start().ack(), None, "lost"),
    "buried, and no dead letter": (published().start().end("dead").ack("bury"), None, "lost"),
    "a loss that the flush before it does not excuse": (
        History().add("sent").add("forgot", since=0).add("sent").add("accepted", ref=REF),
        None,
        "lost",
    ),
    "a loss of what the failover's replica had": (
        published().add("sent", token="x").add("forgot", since=2),
        None,
        "lost",
    ),
    "two workers at once": (published().start().start(B).done().done(B), None, "double effect"),
    "done again, though nobody died": (
        published().start().done().start(B, 2).done(B, 2),
        None,
        "double effect",
    ),
    "begun again by the same worker": (
        published().start().start(A, 2).done().done(attempt=2),
        None,
        "double effect",
    ),
    "begun again after it was acknowledged": (
        published().start().done().ack().add("gone", who=1).start(B, 2).done(B, 2),
        None,
        "double effect",
    ),
    "acknowledged, taken over and done again": (
        published().start().done().ack().taken().start(B, 2).done(B, 2),
        None,
        "double effect",
    ),
    "begun after it was skipped": (
        published().start().end("skip").ack("settle").start(B, 2).done(B, 2),
        None,
        "double effect",
    ),
    "begun after it was cancelled": (published().add("cancelled").start().done(), None, "double effect"),
    "the death comes too late to be a reason": (
        published().start().start(B, 2).add("gone", who=1).done(B, 2),
        None,
        "double effect",
    ),
    "one attempt, two commands": (
        published().start().done().start(B, ref="step.10.6-0").done(B),
        None,
        "published twice",
    ),
    "refused, and run": (History().add("sent").add("refused").start().done(), None, "published twice"),
    "a start after the dead letter": (
        published().start().end("dead").ack("bury").start(B, 2).done(B, 2),
        DEAD,
        "after a dead letter",
    ),
    "an effect after the dead letter by a living worker": (
        published().start().add("gone", who="x").taken(B).start(B, 2).end("dead", B, 2).ack("bury", B).done(),
        DEAD,
        "after a dead letter",
    ),
    "a zombie that was told begins something": (
        published().taken().ack(reply=-1).start(B).end("dead", B).ack("bury", B).start().done(),
        DEAD,
        "after a dead letter",
    ),
    "a zombie acknowledges": (published().start().taken().done().ack(), None, "fence"),
    "a zombie is heard": (published().start().taken().done().ack(reply=0), None, "fence"),
    "a zombie retries": (published().start().taken().end("again").ack("retry"), None, "fence"),
    "acknowledged by two": (
        published().start().taken().start(B, 2).done(B, 2).ack(worker=B).ack(sent=1),
        None,
        "ended twice",
    ),
    "two dead letters": (published().start().end("dead").ack("bury"), Census(dead=[REF, REF]), "ended twice"),
    "done and dead": (published().start().done().ack(), DEAD, "ended twice"),
    "six starts": (tried(6), DEAD, "too many starts"),
    "a stale read": (
        History()
        .add("written", key="k", version=1)
        .add("invalidating", key="k", call="1")
        .add("invalidated", key="k", call="1")
        .add("read", key="k", version=0, since=3),
        None,
        "stale read",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_allowed(name: str) -> None:
    history, census = GOOD[name]
    assert not (verdict := history.verdict(census)).violations, verdict


@pytest.mark.parametrize("name", BAD)
def test_what_is_not(name: str) -> None:
    history, census, rule = BAD[name]
    assert rule in (verdict := history.verdict(census)).rules, verdict


def test_reads_that_are_fresh_enough() -> None:
    history = History()
    for version in (1, 2):
        history.add("written", key="k", version=version)
        history.add("invalidating", key="k", call=str(version))
        if version == 1:
            history.add("invalidated", key="k", call="1")
    history.add("read", key="k", version=1, since=3)  # the second invalidation is not completed
    history.add("read", key="k", version=0, since=1)  # it began before the first was
    assert not history.verdict().violations
    history.add("invalidated", key="k", call="2").add("read", key="k", version=1, since=history.now)
    assert history.verdict().rules == {"stale read"}


def test_what_the_server_forgot_is_counted() -> None:
    lost = published().add("forgot", since=0).verdict()
    assert (lost.violations, lost.counts["lost by the server"]) == ([], 1)
    again = published().start().done().ack().add("forgot", since=4).start(B, 2).done(B, 2).verdict()
    assert (again.violations, again.counts["repeated by the server"]) == ([], 1)


def test_a_record_of_an_unknown_kind_is_no_history() -> None:
    with pytest.raises(ValueError, match="no such record: 'strat'"):
        History().add("strat").verdict()


def test_records_of_several_files_come_in_order(tmp_path: Any) -> None:
    recorder = Recorder(tmp_path)
    recorder.add("sent", token="one")
    (tmp_path / "other.jsonl").write_text('{"what":"sent","at":1,"pid":9,"token":"zero"}\n')
    recorder.add_all({"what": "sent", "token": token} for token in ("two", "three"))
    recorder.close()
    assert [record["token"] for record in read_history(tmp_path)] == ["zero", "one", "two", "three"]


def test_a_record_whose_end_is_missing_is_left_out(tmp_path: Any) -> None:
    recorder = Recorder(tmp_path)
    recorder.add("sent", token="one")
    recorder.close()
    (file,) = tmp_path.iterdir()
    with file.open("a") as killed:
        killed.write('{"what":"sent","at":1,"tok')
    assert [record["token"] for record in read_history(tmp_path)] == ["one"]
