"""tries: prints for ever
earns: 0
says: still running after 5 s
"""

import sys

while True:
    print("x" * 1_000_000)
    sys.__stdout__.write("x" * 1_000_000)
