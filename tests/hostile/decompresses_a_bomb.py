"""tries: unpacks ten gigabytes out of a few kilobytes
earns: 0
says: MemoryError
"""

import zlib

packer = zlib.compressobj(9)
small = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
unpacked = zlib.decompress(small)
while True:
    unpacked += unpacked
