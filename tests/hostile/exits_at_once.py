"""tries: ends its process without a word
earns: 0
says: its process ended
"""

import os

os._exit(0)
