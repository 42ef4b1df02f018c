"""tries: a bomb of threads, each with as small a stack as there is
earns: 0
says: can't start new thread
"""

import threading
import time

threading.stack_size(32768)
while True:
    threading.Thread(target=time.sleep, args=(1e6,)).start()
