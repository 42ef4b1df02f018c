"""Pictures, with matplotlib: one call each, all of one family, each of what there is at that moment.

Every function draws into `ax` if it is given one, and returns the axes; `ax.figure` is the figure. Sizes suit a
notebook 9 to 10 inches wide, and a sheet of paper in black and white.
"""

from podpath.draw.growth import growth as growth
from podpath.draw.journey import journeys as journeys
from podpath.draw.reachability import reachability as reachability
from podpath.draw.rules import rules as rules
from podpath.draw.shares import shares as shares
from podpath.draw.style import COLOURS as COLOURS
from podpath.draw.table import table as table
from podpath.draw.topology import topology as topology
