"""tries: closes every file that it has, the pipe to the checker among them
earns: 0
says: its process ended
"""

import os

os.closerange(0, 4096)
