"""The interfaces of a cluster's hosts: as they were planned, and as they are now."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

from podpath.topology import BRIDGE, Plan


@dataclass(frozen=True)
class InterfaceState:
    """One interface. `carrier` is whether the other end of its cable is up, `master` the bridge that it is a port of."""

    name: str
    up: bool = True
    carrier: bool = True
    addresses: tuple[IPv4Interface, ...] = ()
    master: str | None = None

    @property
    def trouble(self) -> str:
        """ "down", "no carrier", or "" if frames can pass."""
        return "down" if not self.up else "" if self.carrier else "no carrier"


Interfaces = Mapping[str, Mapping[str, InterfaceState]]  # by host, then by name


def planned(plan: Plan) -> dict[str, dict[str, InterfaceState]]:
    """What a plan gives to each host: the ends of its cables, and the nodes' bridges."""
    found: dict[str, dict[str, InterfaceState]] = {name: {} for name in plan.hosts}
    bridged = plan.players["bridge"] == "kernel"
    for end in (end for link in plan.links for end in (link.a, link.b)):
        addresses = (end.address,) if end.address else ()
        master = BRIDGE if bridged and end.interface in plan.hosts[end.host].ports else None
        found[end.host][end.interface] = InterfaceState(end.interface, True, True, addresses, master)
    for name, host in plan.hosts.items():
        if host.gateway and bridged:
            found[name][BRIDGE] = InterfaceState(BRIDGE, True, True, (host.gateway,))
    return found


def read(hosts: Iterable[str]) -> dict[str, dict[str, InterfaceState]]:
    """What these hosts have now, by `ip -json addr` in all of them at once. Loopback is left out.

    RuntimeError, with what `ip` said, if a host cannot be asked.
    """
    asked = {
        name: subprocess.Popen(
            ["ip", "-n", name, "-json", "addr"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in hosts
    }
    answers = {name: (child.communicate(), child.returncode) for name, child in asked.items()}
    for name, ((_, said), code) in answers.items():
        if code:
            raise RuntimeError(f"the interfaces of {name} cannot be read: {said.strip()}")
    return {name: _states(json.loads(told)) for name, ((told, _), _) in answers.items()}


def _states(told: list[dict[str, Any]]) -> dict[str, InterfaceState]:
    return {
        one["ifname"]: InterfaceState(
            one["ifname"],
            "UP" in one["flags"],
            "LOWER_UP" in one["flags"],
            tuple(
                IPv4Interface(f"{address['local']}/{address['prefixlen']}")
                for address in one["addr_info"]
                if address["family"] == "inet"
            ),
            one.get("master"),
        )
        for one in told
        if "LOOPBACK" not in one["flags"]
    }
