"""tries: writes to every place that it knows the name of
earns: 0
says: no place to write
"""

import os

PLACES = ["@COURSE@/x", "@HOME@/x", "@TOP@/x", "/x", "/usr/x", "/etc/x", "/var/x", "/run/x", "/dev/x", "/dev/shm/x",
          "/jail/x", "/jail/podpath/packets.py", "/jail/jail_child.py", "/proc/1/comm", "/root/x", "/home/x"]
done = []
for place in PLACES:
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w") as file:
            file.write("here")
        done.append(place)
    except OSError:
        pass
if all(place.startswith("/tmp/") for place in done):  # its own, which is gone when it ends
    raise OSError("no place to write")
raise OSError(f"WRITTEN {done}")
