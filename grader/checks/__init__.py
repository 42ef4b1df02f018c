"""The labs that there are, each with its checks: one package per lab."""

from grader.check import Lab
from grader.checks import bridge, egress, packets, pod, router, service, vxlan

LABS: tuple[Lab, ...] = (packets.LAB, pod.LAB, bridge.LAB, router.LAB, vxlan.LAB, service.LAB, egress.LAB)


def find(name: str) -> Lab:
    """The lab of that name: `02`, `bridge` or `02-bridge`. KeyError, with the names there are, if there is none."""
    for lab in LABS:
        if name in (lab.number, lab.name, lab.full_name, lab.number.lstrip("0")):
            return lab
    raise KeyError(f"there is no lab {name!r}; the labs are {', '.join(lab.full_name for lab in LABS)}")
