"""Options, the order of things, and exit codes."""

import argparse
import os
import sys
from contextlib import ExitStack

import redis
from rich.console import Console

from riptide import RiptideError
from scripts.demo.children import ChildFailed
from scripts.demo.deployment import Deployment
from scripts.demo.facts import Facts
from scripts.demo.origin import MODULES, TENANTS
from scripts.demo.sampler import Sampler
from scripts.demo.screen import open_screen
from scripts.demo.stop import Stop, Stopped
from scripts.demo.story import Story
from scripts.demo.summary import print_summary

_FAILED = 1
_ENDED_BY_SIGNAL = 128


def main(stop: Stop) -> int:
    """Run the demo. Exit code: 0 all went well, 1 not, 2 wrong options, 128 + n ended early by signal n."""
    options = _parse()
    console = Console(highlight=False)
    facts = Facts()
    try:
        _run(options.pages, options.once, console, facts, stop)
    except Stopped:
        if not facts.told:
            return _ENDED_BY_SIGNAL + stop.signal
        if not facts.well:
            print_summary(console, facts)
    except BrokenPipeError:
        # Nobody reads on; Python would say so again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (ChildFailed, RiptideError, redis.RedisError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    return 0 if facts.well else _FAILED


def _run(pages: int, once: bool, console: Console, facts: Facts, stop: Stop) -> None:
    screen = open_screen(console, facts)
    with ExitStack() as stack:
        with screen:
            deployment = stack.enter_context(Deployment(stop, screen.tell))
            story = Story(deployment, pages, facts, stop)
            with Sampler(deployment, facts):
                story.tell()
        print_summary(console, facts)
        facts.told = True
        if once:
            return
        address = deployment.serve_api()
        riptide = f"  REDIS_URL={deployment.url} .venv/bin/riptide"
        console.print("\nIt goes on until Ctrl-C. To look at it from another terminal:")
        console.print(f"{riptide} streams --watch", soft_wrap=True)
        console.print(f"The HTTP API is at {address}; a key for it, which docs/http-api.md tells how to use:")
        console.print(f"{riptide} access create me --role admin\n", soft_wrap=True)
        with screen, Sampler(deployment, facts):
            story.go_on()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Show RipTide at work on real pages, and judge whether anything was lost or stale.",
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the summary instead of going on until Ctrl-C"
    )
    parser.add_argument(
        "--pages", type=_pages, default=60, metavar="N", help=f"{len(TENANTS)} to {len(MODULES)}; default 60"
    )
    return parser.parse_args()


def _pages(text: str) -> int:
    if text.isascii() and text.isdigit() and len(TENANTS) <= int(text) <= len(MODULES):
        return int(text)
    raise argparse.ArgumentTypeError(f"a number from {len(TENANTS)} to {len(MODULES)}, not {text!r}")
