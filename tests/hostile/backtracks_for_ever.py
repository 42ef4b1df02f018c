"""tries: a regular expression that takes longer than the universe, inside C code
earns: 0
says: still running after 5 s
"""

import re

re.match(r"(a|aa)+$", "a" * 200 + "b")
