"""A setting that is accepted is honoured, or named as having no effect: none is read and silently ignored."""

import re
from pathlib import Path

from riptide.config.catalog import catalog
from riptide.config.names import NOT_YET

ROOT = Path(__file__).parents[3]


def test_every_setting_is_used_or_named_as_not_yet_built() -> None:
    """A coarse net: some module outside the configuration mentions an attribute of that name."""
    files = [file for top in ("riptide", "workers") for file in (ROOT / top).rglob("*.py")]
    outside = [file for file in files if "config" not in file.with_suffix("").relative_to(ROOT).parts]
    code = "\n".join(file.read_text(encoding="utf-8") for file in outside)
    unused = [path for path, setting in catalog().items() if not re.search(rf"\.{setting.name}\b", code)]
    assert set(unused) <= set(NOT_YET)
