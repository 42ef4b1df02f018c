"""Lab 02, the learning bridge: the facts of the lab.

The rules are those of IEEE 802.1D-2004, 7.7 to 7.9, without VLANs, spanning tree and isolated ports; the identifiers
that a check cites are rows of the conformance cases (BR-01) and of the usual mistakes (MBR-01).
"""

from grader.check import Lab
from grader.checks.bridge import flooding, forgetting, learning, limits, live
from grader.checks.bridge.trial import BridgeTrial

LAB = Lab(
    number="02",
    name="bridge",
    class_name="LearningBridge",
    trial=BridgeTrial,
    steps=(flooding.STEP, learning.STEP, forgetting.STEP, limits.STEP, live.STEP),
)
