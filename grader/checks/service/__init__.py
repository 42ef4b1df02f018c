"""Lab 07, the Service: the facts of the lab.

The rules are those of kube-proxy, and of RFC 1624 (checksums), 792 and 1122 (ICMP), 9293 (TCP) and 5508 (ICMP and
translation); the identifiers that a check cites are rows of the conformance cases (SVC-14) and of the usual mistakes
(MSV-01).
"""

from grader.check import Lab
from grader.checks.service import change, choice, flows, fragments, live, splice, time, which
from grader.checks.service.trial import ServiceTrial

LAB = Lab(
    number="07",
    name="service",
    class_name="ServiceProxy",
    trial=ServiceTrial,
    steps=(which.STEP, choice.STEP, change.STEP, time.STEP, fragments.STEP, flows.STEP, splice.STEP, live.STEP),
)
