"""Lab 01, the pod: the facts of the lab.

What a pod is comes from the Kubernetes documentation; what a network namespace is, from Linux's manual. Checks cite
the page and its section.
"""

from grader.check import Lab
from grader.checks.pod import addressing, ending, joining, output, starting
from grader.checks.pod.trial import PodTrial

LAB = Lab(
    number="01",
    name="pod",
    class_name="Pod",
    trial=PodTrial,
    steps=(starting.STEP, joining.STEP, output.STEP, addressing.STEP, ending.STEP),
    privileged=True,
)
