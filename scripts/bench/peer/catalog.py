"""Who is compared: what to install, how a worker is started, and what it is to be called."""

from dataclasses import dataclass

EACH, AT_START, BATCH = "each", "each, before it runs", "a batch"


@dataclass(frozen=True, slots=True)
class Peer:
    """One row.

    `app` is a module of `apps/`; `worker` the command that starts one worker process, where the program is
    one of the peer's environment. Of the commands a `share` is drained, so that the slow ones do not take
    minutes. `in_hand` is about how many commands one worker takes at a time.
    """

    name: str
    app: str
    packages: tuple[str, ...]
    worker: tuple[str, ...]
    acknowledges: str
    share: float = 0.1
    in_hand: int = 10
    tuned: bool = False
    python: tuple[int, int] = (3, 11)
    killed: bool = True

    @property
    def single(self) -> bool:
        """Whether messages are acknowledged one by one, so that the reach of 10 counts."""
        return self.acknowledges in {EACH, AT_START}


RIPTIDE, USAGE = "RipTide", "RipTide, record_usage"
_RIPTIDE = ("riptide", "worker", "--commands", "add")
_USAGE = ("riptide", "worker", "--commands", "record_usage")
_DOCKET = ("pydocket==0.27.0", "redis==8.1.0", "hiredis==3.5.0")
_FASTSTREAM = ("faststream[cli,redis]==0.7.8", "redis==8.1.0", "hiredis==3.5.0")
_ARQ = ("arq==0.28.0", "hiredis==3.5.0")
_CELERY = ("celery[redis]==5.7.0", "redis==8.1.0", "hiredis==3.5.0")

#: RipTide's and the floor's run in the project's own environment: they install nothing.
PEERS = (
    Peer("raw loop", "on_raw", (), ("python", "on_raw.py"), BATCH, share=1, killed=False),
    Peer(RIPTIDE, "on_riptide", (), _RIPTIDE, EACH, share=1, in_hand=1000, tuned=True),
    Peer(USAGE, "on_usage", (), _USAGE, EACH, share=1, in_hand=5000, tuned=True, killed=False),
    Peer("RipTide, batch_size=1", "on_riptide", (), _RIPTIDE, EACH, share=0.4),
    Peer(
        "ardiq",
        "on_ardiq",
        ("ardiq==1.2.0", "redis==8.1.0", "hiredis==3.5.0"),
        ("ardiq", "run", "--quiet", "on_ardiq:app"),
        EACH,
        share=0.3,
        in_hand=16,
        python=(3, 12),
    ),
    Peer(
        "docket",
        "on_docket",
        _DOCKET,
        ("docket", "worker", "--tasks", "on_docket:tasks", "--docket", "{queue}", "--url", "{url}"),
        EACH,
        share=0.01,
    ),
    Peer("docket, tuned", "on_docket", _DOCKET, ("python", "on_docket.py"), EACH, in_hand=50, tuned=True),
    Peer("streaq", "on_streaq", ("streaq==7.2.0",), ("streaq", "run", "on_streaq:worker"), EACH, in_hand=16),
    Peer(
        "taskiq",
        "on_taskiq",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "hiredis==3.5.0"),
        ("taskiq", "worker", "--workers", "1", "--log-level", "WARNING", "on_taskiq:broker"),
        EACH,
        in_hand=100,
    ),
    Peer(
        "FastStream",
        "on_faststream",
        _FASTSTREAM,
        ("faststream", "run", "on_faststream:app"),
        EACH,
        in_hand=10,
    ),
    Peer(
        "FastStream, batches",
        "on_faststream",
        _FASTSTREAM,
        ("faststream", "run", "on_faststream:app"),
        BATCH,
        share=1,
        in_hand=100,
        tuned=True,
    ),
    Peer(
        "arq",
        "on_arq",
        _ARQ,
        ("arq", "--custom-log-dict", "on_arq.LOGGING", "on_arq.WorkerSettings"),
        EACH,
        share=0.02,
    ),
    Peer(
        "arq, tuned",
        "on_arq",
        _ARQ,
        ("arq", "--custom-log-dict", "on_arq.LOGGING", "on_arq.WorkerSettings"),
        EACH,
        in_hand=100,
        tuned=True,
    ),
    Peer(
        "dramatiq",
        "on_dramatiq",
        ("dramatiq[redis]==2.2.1", "redis==8.1.0", "hiredis==3.5.0"),
        ("dramatiq", "--processes", "1", "on_dramatiq"),
        EACH,
        in_hand=8,
    ),
    Peer(
        "celery, prefork",
        "on_celery",
        _CELERY,
        ("celery", "-A", "on_celery", "worker", "--concurrency", "1", "--loglevel", "WARNING"),
        AT_START,
        share=0.06,
        in_hand=1,
    ),
    Peer(
        "celery, solo",
        "on_celery",
        _CELERY,
        ("celery", "-A", "on_celery", "worker", "--pool", "solo", "--loglevel", "WARNING"),
        AT_START,
        share=0.06,
        in_hand=1,
    ),
)


def choose(names: str | None) -> list[Peer]:
    """All, or those whose name begins with one of `names` (separated by commas); RipTide always."""
    if names is None:
        return list(PEERS)
    wanted = tuple(name.strip().lower() for name in names.split(",") if name.strip())
    unknown = [name for name in wanted if not any(peer.name.lower().startswith(name) for peer in PEERS)]
    if unknown:
        known = ", ".join(peer.name for peer in PEERS)
        raise SystemExit(f"no peer is called {', '.join(unknown)}; known are {known}")
    return [peer for peer in PEERS if peer.name == RIPTIDE or peer.name.lower().startswith(wanted)]
