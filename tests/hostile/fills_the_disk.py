"""tries: writes files until no more can be written
earns: 0
says: No space left on device
"""

number = 0
while True:
    number += 1
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(1 << 20))
