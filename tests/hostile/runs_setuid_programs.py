"""tries: becomes a program that runs as root
earns: 0
says: its process ended
"""

import os

for program in (["su", "-c", "touch @HOME@/root"], ["mount", "-t", "tmpfs", "x", "/usr"], ["passwd", "-d", "root"]):
    for folder in ("/usr/bin", "/bin"):
        try:
            os.execv(f"{folder}/{program[0]}", program)
        except OSError:
            pass
os._exit(1)
