"""tries: takes the class out of the exercise's own source, where the solution is
earns: 0
says: No such file or directory
"""

import json

with open("@TOP@/exercises/02-bridge/bridge.ipynb") as file:
    cells = json.load(file)["cells"]
exec("".join(next(cell for cell in cells if "class LearningBridge" in "".join(cell["source"]))["source"]))
