"""tries: looks for the course's secret and other students' names in the environment and on command lines
earns: 0
says: nothing to find
"""

import os
import pathlib

words = repr(dict(os.environ))
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        try:
            words += repr((process / name).read_bytes())
        except OSError:
            pass
if "HOME" in words or "SECRET" in words:
    raise RuntimeError("FOUND " + words)
raise LookupError("nothing to find")
