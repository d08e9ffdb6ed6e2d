"""python -m scripts.demo: what scripts/run becomes."""

import sys

from scripts.demo.stop import Stop

if __name__ == "__main__":
    stop = Stop()
    stop.listen()
    # It takes a second to import, in which Ctrl-C must count already.
    from scripts.demo.program import main

    sys.exit(main(stop))
