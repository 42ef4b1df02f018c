"""tries: prints what a report looks like in which all is well
earns: 0
says: there is no class LearningBridge in your code
"""

import sys

REPORT = '{"lab": "02-bridge", "seed": 1, "points": 20, "max_points": 20, "checks": []}'
for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
    print("ok  2/2  frames to unknown stations\n20 of 20 points", REPORT, 20.0, file=stream, flush=True)
