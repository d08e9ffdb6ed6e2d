"""`python fill.py APP FIRST COUNT`: publish commands, numbered from FIRST on, as APP's library does best."""

import asyncio
import importlib
import inspect
import os
import sys

if __name__ == "__main__":
    app, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    filled = importlib.import_module(app).fill(range(first, first + count))
    if inspect.iscoroutine(filled):
        asyncio.run(filled)
    os._exit(0)  # some Rust runtimes crash now and then when the interpreter ends
