"""Lab 10, the way out of the cluster: the facts of the lab.

The rules are those of RFC 3022 and 1624 (translation, checksums), 4787 (UDP), 5382 and 6146 (TCP), and 5508 (ICMP); the
identifiers that a check cites are rows of the conformance cases (NAT-01) and of the usual mistakes (MNT-01, PK-05).
"""

from grader.check import Lab
from grader.checks.egress import beyond, live, ports, time, translate, which
from grader.checks.egress.trial import EgressTrial

LAB = Lab(
    number="10",
    name="egress",
    class_name="EgressNat",
    trial=EgressTrial,
    steps=(which.STEP, translate.STEP, ports.STEP, time.STEP, beyond.STEP, live.STEP),
)
