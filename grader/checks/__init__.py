"""The labs that there are, each with its checks: one package per lab, imported when it is asked for."""

from importlib import import_module

from grader.check import Lab

NAMES = ("00-packets", "01-pod", "02-bridge", "03-router", "04-vxlan", "07-service", "10-egress")


def find(name: str) -> Lab:
    """The lab of that name: `02`, `bridge` or `02-bridge`. KeyError, with the names there are, if there is none."""
    for full_name in NAMES:
        number, _, package = full_name.partition("-")
        if name in (full_name, number, number.lstrip("0"), package):
            lab: Lab = import_module(f"{__name__}.{package}").LAB
            return lab
    raise KeyError(f"there is no lab {name!r}; the labs are {', '.join(NAMES)}")


def labs() -> list[Lab]:
    """All of them, in order."""
    return [find(name) for name in NAMES]
