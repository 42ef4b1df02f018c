"""Lab 04, the overlay: the facts of the lab.

The rules are those of RFC 7348 (VXLAN), RFC 8926 (Geneve), RFC 1122 and 1191 (ICMP), and of flannel; the identifiers that
a check cites are rows of the conformance cases (VX-01) and of the usual mistakes (MVX-03, PK-01).
"""

from grader.check import Lab
from grader.checks.vxlan import control, format, forwarding, live, others, size
from grader.checks.vxlan.trial import VxlanTrial

LAB = Lab(
    number="04",
    name="vxlan",
    class_name="Vtep",
    trial=VxlanTrial,
    steps=(format.STEP, forwarding.STEP, size.STEP, control.STEP, others.STEP, live.STEP),
)
