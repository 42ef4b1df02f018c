"""tries: hands in what another student has handed in
earns: 0
says: No such file or directory
"""

import glob
import json

found = glob.glob("@COURSE@/submitted/*/02-bridge/bridge.ipynb") or ["@COURSE@/submitted/neighbour/02-bridge/bridge.ipynb"]
with open(found[0]) as file:
    exec("".join("".join(cell["source"]) for cell in json.load(file)["cells"] if cell["cell_type"] == "code"))
