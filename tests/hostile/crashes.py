"""tries: reads memory that there is not
earns: 0
says: its process ended
"""

import ctypes

ctypes.string_at(0)
