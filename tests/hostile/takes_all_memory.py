"""tries: takes memory until there is none, and keeps it
earns: 0
says: MemoryError
"""

kept = []
while True:
    kept.append(bytearray(1 << 24))
