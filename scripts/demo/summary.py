"""What is said at the end."""

from rich.console import Console
from rich.text import Text

from scripts.demo.facts import Facts
from scripts.demo.screen import measured


def print_summary(console: Console, facts: Facts) -> None:
    """The verdict first, then the figures; problems in words."""
    counts = facts.counts
    verdict = (
        "All went well: nothing was lost, nothing failed, nothing stale was read."
        if facts.well
        else f"Not all went well: {counts['lost']} lost, {counts['failed']} failed, {counts['stale']} stale."
    )
    console.print()
    console.print(Text(verdict, "bold green" if facts.well else "bold red"))
    for name, text in (_done(facts) | measured(facts)).items():
        console.print(Text.assemble((f"  {name:18} ", "dim"), text), soft_wrap=True)
    for kind, problems in facts.problems.items():
        for problem in problems:
            console.print(Text.assemble((f"  {kind}: ", "red"), problem), soft_wrap=True)


def _done(facts: Facts) -> dict[str, str]:
    ended, by = facts.ended, facts.invalidated
    commands = f"{facts.published['commands']} published, {ended['done']} done"
    if ended["dead"]:
        commands += f", {ended['dead']} refused"
    return {
        "found at start": f"{facts.found} pages of an earlier run",
        "commands": commands,
        "invalidated pages": ", ".join(f"{count} by {kind}" for kind, count in by.items()),
        "workers": f"{len(facts.members)} processes",
    }
