"""Lab 03, the router: the facts of the lab.

The rules are those of RFC 1812 (routers), 1122 (hosts), 826 (ARP) and 792 (ICMP), without fragmentation; the identifiers
that a check cites are rows of the conformance cases (RT-01) and of the usual mistakes (MRT-01).
"""

from grader.check import Lab
from grader.checks.router import forwarding, live, lookup, messages, neighbours
from grader.checks.router import patience as patience  # further checks of step 2
from grader.checks.router import silence as silence  # further checks of step 4
from grader.checks.router.trial import RouterTrial

LAB = Lab(
    number="03",
    name="router",
    class_name="Router",
    trial=RouterTrial,
    steps=(lookup.STEP, neighbours.STEP, forwarding.STEP, messages.STEP, live.STEP),
)
