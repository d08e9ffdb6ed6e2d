"""A setting that is accepted is honoured, or named as having no effect: none is read and silently ignored."""

import ast
import re
from pathlib import Path

from riptide.config.catalog import catalog
from riptide.config.names import LIVE

ROOT = Path(__file__).parents[3]


def test_every_setting_is_used() -> None:
    """A coarse net: some module outside the configuration mentions an attribute of that name."""
    files = [file for top in ("riptide", "workers") for file in (ROOT / top).rglob("*.py")]
    outside = [file for file in files if "config" not in file.with_suffix("").relative_to(ROOT).parts]
    code = "\n".join(file.read_text(encoding="utf-8") for file in outside)
    unused = [path for path, setting in catalog().items() if not re.search(rf"\.{setting.name}\b", code)]
    assert unused == []


#: Made anew when their settings change: `Quotas.renew` does that.
RENEWED = {"limits.py", "script.py"}


def test_what_is_live_is_not_kept_when_something_is_made() -> None:
    """A coarse net, too: no object copies a live setting into itself at its beginning."""
    # Names that other things have, too; workers.lease_seconds is not live.
    common = {"entries", "format", "groups", "lease_seconds", "level", "levels"}
    live = {path.rpartition(".")[2] for path in LIVE} - common
    kept = []
    for file in (file for top in ("riptide", "workers") for file in (ROOT / top).rglob("*.py")):
        if "config" in file.relative_to(ROOT).parts or file.name in RENEWED:
            continue
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                read = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
                kept += [f"{file.name}: {name}" for name in sorted(read & live)]
    assert kept == []
