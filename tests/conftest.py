"""What all tests share: real servers, key prefixes, seeded randomness. See tests/servers for the servers."""

import faulthandler
import logging
import os
import random
import secrets
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from riptide.streams import heartbeat
from tests.dragonfly import SPINE
from tests.servers import (
    DRAGONFLY,
    KINDS,
    Cluster,
    MissingServer,
    Server,
    ServerProcess,
    Servers,
    find_binary,
)

IN_CI = os.environ.get("CI") == "true"
SKIP_SERVERS = os.environ.get("SKIP_PERSISTENCE_TESTS", "") not in {"", "0"}

# How long an example takes says nothing on a shared machine. In CI the examples are the same every time.
settings.register_profile(
    "riptide", deadline=None, print_blob=True, derandomize=IN_CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("riptide")


# In the background of a script, or under nohup, these are ignored; so they would be by all that starts here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What CI takes of faults and of the checks of whole histories (tests/faults); `--timeout 0` beside more.
FAULT_OPTIONS: tuple[tuple[str, float, str], ...] = (
    ("--history-commands", 3_000, "commands that go through the mix of all faults"),
    ("--history-minutes", 0.0, "minutes for which the mix is repeated, each time with another seed"),
    ("--history-backlog", 20_000, "commands that wait before the first worker comes"),
    ("--usage-records", 4_000, "usage records that go through all faults"),
    ("--account-runs", 10, "sequences of operations after which accounts are compared with a model"),
    ("--state-strikes", 6, "calls of a restore at which it is killed; 0: all"),
    ("--state-damages", 10, "bytes of a checkpoint or of the archive that are damaged; 0: all"),
    ("--quota-window", 2.0, "seconds of the windows of a quota that eight processes use up"),
    ("--fuzz-examples", 2, "requests that are made up for each endpoint; above 10 every kind of it, too"),
    ("--wrk-seconds", 0.0, "seconds of wrk's load on a service behind the middleware"),
    ("--soak-minutes", 0.2, "minutes of steady work that must leave keys, connections and memory flat"),
    (
        "--slow-handler-seconds",
        0.0,
        "seconds of a handler under default settings; 0: some under a short lease",
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("riptide")
    group.addoption(
        "--servers",
        default=",".join(KINDS),
        help=f"kinds of server to test on, of {','.join(KINDS)},{DRAGONFLY}",
    )
    group.addoption("--seed", type=int, help="seed of the fixture rng, to repeat a run")
    for name, default, text in FAULT_OPTIONS:
        group.addoption(name, type=type(default), default=default, help=f"{text} (default {default:,})")


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI and SKIP_SERVERS:
        raise pytest.UsageError("SKIP_PERSISTENCE_TESTS is set under CI=true, where nothing may be skipped")
    known = (*KINDS, DRAGONFLY)
    unknown = set(_kinds(config)) - set(known)
    if unknown:
        raise pytest.UsageError(f"--servers: {', '.join(sorted(unknown))}: known are {', '.join(known)}")
    if config.option.seed is None:
        # xdist hands the options on, so that all its workers have the same one.
        config.option.seed = secrets.randbelow(2**32)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.option.seed} (repeat with --seed {config.option.seed})"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the fixture `server` runs on every kind, unless it names its own; chosen ones also under
    DragonflyDB's command set (tests/dragonfly)."""
    own = any("server" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "server" in metafunc.fixturenames and not own:
        kinds = _kinds(metafunc.config)
        if kinds == list(KINDS) and metafunc.definition.nodeid.partition("[")[0] in SPINE:
            kinds.append(DRAGONFLY)
        metafunc.parametrize("server", kinds, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "rng" in getattr(item, "fixturenames", ()):
        report.sections.append(("seed", f"--seed {item.config.option.seed}"))
    return report


def _kinds(config: pytest.Config) -> list[str]:
    return [kind.strip() for kind in config.option.servers.split(",")]


@pytest.fixture(scope="session", autouse=True)
def stays() -> Iterator[None]:
    """A worker whose event loop is held for long starts its process anew. A worker in this process must not:
    all tests would begin again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "start_anew", lambda **_: faulthandler.dump_traceback(2))
        yield


@pytest.fixture(autouse=True)
def logging_stays() -> Iterator[None]:
    """What RipTide's programs set up holds for a whole process: for that of the tests it must not."""
    root = logging.getLogger()
    handlers, level, structured = root.handlers[:], root.level, structlog.get_config()
    yield
    if root.handlers != handlers:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**structured)


@pytest.fixture(scope="session")
def binary() -> Callable[[str], Path]:
    """`binary(kind)` is the program of a kind of server.

    Without one the test is skipped at a desk and fails in CI; so it is with SKIP_PERSISTENCE_TESTS=1.
    """

    def find(kind: str) -> Path:
        if SKIP_SERVERS:
            pytest.skip("SKIP_PERSISTENCE_TESTS is set")
        try:
            return find_binary(kind)
        except MissingServer as error:
            if IN_CI:
                pytest.fail(str(error))
            pytest.skip(str(error))

    return find


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The shared servers of this process, started when first asked for."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, binary: Callable[[str], Path], servers: Servers) -> Server:
    """A shared server; the test runs once on every kind."""
    binary(request.param)
    return servers.get(request.param)


@pytest.fixture(scope="session")
def valkey(binary: Callable[[str], Path], servers: Servers) -> Server:
    """The shared Valkey, for tests that need no other kind."""
    binary("valkey")
    return servers.get("valkey")


@pytest.fixture
def private_server(binary: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """`private_server(kind="valkey", aof=True, **options)` starts a server that the test may break."""
    started: list[ServerProcess] = []

    def start(kind: str = "valkey", *, aof: bool = True, **options: str | int) -> ServerProcess:
        directory = tmp_path / f"server{len(started)}"
        process = ServerProcess(binary(kind), directory, aof=aof, **options)
        started.append(process)
        return process.start()

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def private_cluster(binary: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """`private_cluster(aof=True, **options)` starts a cluster that the test may break."""
    started: list[Cluster] = []

    def start(*, aof: bool = True, **options: str | int) -> Cluster:
        cluster = Cluster(binary("cluster"), tmp_path / f"cluster{len(started)}", aof=aof, **options)
        started.append(cluster)
        return cluster.start()

    yield start
    for cluster in started:
        cluster.stop()


@pytest.fixture
def prefix() -> str:
    """The test's own prefix for keys. They stay until the server is thrown away; nothing is ever flushed."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Randomness that `--seed` repeats, for each test by itself."""
    return random.Random(f"{request.config.option.seed} {request.node.nodeid}")
