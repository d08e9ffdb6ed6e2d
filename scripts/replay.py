#!/usr/bin/env python3
"""Publish commands again that were published before: the same as `riptide replay`, whose options it takes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from riptide.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "replay")
    main()
