"""RipTide beside its peers: the same job, on the same server, in the same run.

Each command adds 1 to a field of one hash (HINCRBY). One worker process, started by the library's own
program and pinned to one CPU, drains a backlog; then one of two workers is killed (SIGKILL) in the middle
and the other one watched. Settings are the libraries' defaults, but for their logging per message, and
where a row says "tuned" or "batches". Each peer lives in a virtual environment of its own, made the first
time.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.progress import Progress
from rich.table import Table

from scripts.bench import harness
from scripts.bench.peer.catalog import RIPTIDE, Peer, choose
from scripts.bench.peer.environments import Unusable, programs_of
from scripts.bench.peer.killing import kill_one
from scripts.bench.peer.running import ROOT, Arena, Observer
from scripts.bench.peer.table import COLUMNS, Figures, row, verdict
from scripts.bench.peer.throughput import commands_a_second


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="A,B", help="only these peers, beside RipTide")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default %(default)s)")
    parser.add_argument(
        "--commands",
        type=int,
        default=50_000,
        help="backlog of the fastest; slower ones get a share of it (default %(default)s)",
    )
    parser.add_argument("--kills", type=int, default=1, help="kills of each (default %(default)s)")
    parser.add_argument("--no-kill", action="store_const", const=0, dest="kills", help="kill nobody")
    parser.add_argument(
        "--patience",
        type=float,
        default=30,
        help="seconds to wait for what a killed worker held (default %(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=ROOT / ".riptide" / "bench-venvs",
        help="where the peers' environments are kept (default .riptide/bench-venvs)",
    )
    return parser.parse_args()


class Tournament:
    def __init__(self, chosen: argparse.Namespace, url: str, directory: Path) -> None:
        self._chosen = chosen
        self._observer = Observer(url)
        self._directory = directory
        self._url = url
        self.peers = choose(chosen.only)
        self.figures = {peer.name: Figures() for peer in self.peers}
        self._arenas: dict[str, Arena] = {}

    def run(self) -> None:
        with Progress(console=harness.console, transient=True) as progress:
            phases = ["Installing", *["Draining"] * self._chosen.rounds, *["Killing"] * self._chosen.kills]
            bar = progress.add_task("", total=len(self.peers) * len(phases))
            for turn, phase in enumerate(phases):
                for peer in self.peers:
                    progress.update(bar, description=f"{phase} {peer.name}")
                    self._step(phase, turn, peer)
                    progress.advance(bar)

    def _step(self, phase: str, turn: int, peer: Peer) -> None:
        figures = self.figures[peer.name]
        if phase != "Installing" and peer.name not in self._arenas:
            return
        try:
            match phase:
                case "Installing":
                    self._install(peer)
                case "Draining":
                    commands = max(500, round(self._chosen.commands * peer.share))
                    figures.rates[turn] = commands_a_second(self._arenas[peer.name], self._observer, commands)
                case _ if peer.killed:
                    arena = self._arenas[peer.name]
                    figures.kills.append(kill_one(arena, self._observer, self._chosen.patience))
        except Unusable as problem:
            figures.problems.append(f"{phase.lower()}: {problem}")

    def _install(self, peer: Peer) -> None:
        directory = self._directory / peer.name.replace(" ", "-")
        directory.mkdir()
        self._arenas[peer.name] = Arena(self._url, peer, programs_of(peer, self._chosen.cache), directory)


def report(tournament: Tournament, patience: float) -> bool:
    table = Table(title_justify="left")
    for column in COLUMNS:
        table.add_column(column)
    ours = tournament.figures[RIPTIDE].rates
    for peer in tournament.peers:
        table.add_row(*row(peer, tournament.figures[peer.name], ours, patience))
    harness.console.print(table)
    met, remarks = verdict(tournament.peers, tournament.figures)
    for remark in remarks:
        harness.console.print(remark, highlight=False)
    harness.console.print("every reach is met" if met else "not every reach is met")
    return met


def main() -> None:
    chosen = arguments()
    with harness.server(same_cpu=False) as url, tempfile.TemporaryDirectory() as directory:
        tournament = Tournament(chosen, url, Path(directory))
        tournament.run()
    report(tournament, chosen.patience)


if __name__ == "__main__":
    main()
