"""python tied.py PARENT COMMAND...: become a program that gets SIGTERM when its parent ends, in whatever way.

Only Linux can promise that. Elsewhere a SIGKILL of the parent leaves it running; every other end does not.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
# The parent may have died before the line above.
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
