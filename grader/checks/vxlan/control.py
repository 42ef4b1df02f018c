"""Step 4 of the overlay: what flannel writes into the kernel of a node. Its vxlan backend."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from grader.check import Failed, LearnerError, Step
from grader.checks.vxlan.trial import VxlanTrial
from podpath.configuration import Lease
from podpath.packets import mac_text

STEP = Step("Step 4: flannel's tables")
_PARTS = ("device", "routes", "arp", "fdb")


@STEP.check(
    "flannel",
    "for each other node there is a route, an ARP entry and an FDB entry, and nothing more",
    1,
    "Route: its pods by way of its VTEP address, on flannel.1. ARP: that address has its VTEP's MAC. FDB: that MAC is "
    "behind the node's address.",
    "VX-28",
    "VX-29",
    "VX-32",
    "VX-34",
    "VX-35",
    "MVX-17",
    "MVX-18",
)
def tables(t: VxlanTrial) -> None:
    leases = _leases(t, t.random.randrange(4, 7))
    own = t.random.choice(leases)
    for mtu in (1500, t.random.randrange(1300, 9001)):
        _judge(t, _Case(own, leases, mtu=mtu))
    _judge(t, _Case(own, t.random.sample(leases, len(leases))))
    left = [lease for lease in leases if lease == own or t.random.random() < 0.5]
    _judge(t, _Case(own, left, note="some nodes have left"))
    _judge(t, _Case(own, [own], note="the only node"))
    stranger = t.random.choice([lease for lease in leases if lease != own])
    other = Lease(
        stranger.node, stranger.address, stranger.subnet, stranger.vtep_mac, t.random.choice(["udp", "host-gw"])
    )
    mixed = [other if lease == stranger else lease for lease in leases]
    _judge(t, _Case(own, mixed, note=f"{other.node} uses the backend {other.backend!r}"))


@STEP.check(
    "flannel-direct",
    "with direct routing, nodes on the same network need no tunnel",
    1,
    "Both nodes in `direct`: one route by way of the node's own address on eth0, and neither ARP nor FDB entry.",
    "VX-33",
)
def direct(t: VxlanTrial) -> None:
    leases = _leases(t, 6)
    near = IPv4Network(f"{IPv4Address(t.net + bytes(1))}/24")
    far = [
        Lease(lease.node, IPv4Address(int(lease.address) ^ 1 << 20), lease.subnet, lease.vtep_mac)
        for lease in leases[3:]
    ]
    both = [*leases[:3], *far]
    t.random.shuffle(both)
    for own in (leases[0], far[0]):
        _judge(t, _Case(own, both, direct=near))
    _judge(t, _Case(leases[1], both, note="without direct routing"))


@dataclass(frozen=True)
class _Case:
    """One call of the learner's function."""

    own: Lease
    leases: list[Lease]
    mtu: int = 1500
    direct: IPv4Network | None = None
    note: str = ""

    def tunnelled(self) -> list[Lease]:
        """The others that use the tunnel."""
        return [lease for lease in self._others() if not self._near(lease)]

    def straight(self) -> list[Lease]:
        """The others to which there is a plain route."""
        return [lease for lease in self._others() if self._near(lease)]

    def _others(self) -> list[Lease]:
        return [lease for lease in self.leases if lease.node != self.own.node and lease.backend == "vxlan"]

    def _near(self, lease: Lease) -> bool:
        return self.direct is not None and self.own.address in self.direct and lease.address in self.direct

    def wanted(self) -> dict[str, dict[Any, Any]]:
        """What must come out."""
        own, tunnelled = self.own, self.tunnelled()
        routes = {lease.subnet: (lease.subnet[0], "flannel.1") for lease in tunnelled}
        routes |= {lease.subnet: (lease.address, "eth0") for lease in self.straight()}
        address = IPv4Interface(f"{own.subnet[0]}/32")
        return {
            "device": {"name": "flannel.1", "vni": 1, "port": 8472, "mtu": self.mtu - 50, "address": address},
            "routes": routes,
            "arp": {lease.subnet[0]: lease.vtep_mac for lease in tunnelled},
            "fdb": {lease.vtep_mac: lease.address for lease in tunnelled},
        }


def _leases(t: VxlanTrial, count: int) -> list[Lease]:
    numbers = t.random.sample(range(256), count)
    return [
        Lease(
            f"{t.random.choice(['node', 'worker', 'vm'])}-{number}",
            t.others[index],
            IPv4Network(f"10.{t.net[1] * 3 % 256}.{number}.0/24"),
            bytes([t.random.randrange(64) * 4 + 2]) + t.random.randbytes(5),
        )
        for index, number in enumerate(numbers)
    ]


def _judge(t: VxlanTrial, case: _Case) -> None:
    extra: dict[str, Any] = {} if case.mtu == 1500 else {"mtu": case.mtu}
    extra |= {} if case.direct is None else {"direct": case.direct}
    said = "".join(f", {name}={value}" for name, value in extra.items())
    event = f"flannel({case.own.node!r}, {len(case.leases)} leases{said})" + (f": {case.note}" if case.note else "")
    for lease in case.leases:
        own = "  (this node)" if lease == case.own else ""
        t.transcript.note(f"{lease.node}: {lease.address}, {lease.subnet}, {mac_text(lease.vtep_mac)}{own}")
    with t.transcript.step(event):
        got = t.subject.call("flannel", case.own.node, case.leases, **extra)
        if not isinstance(got, dict) or sorted(map(str, got)) != sorted(_PARTS):
            shape = list(got) if isinstance(got, dict) else got
            raise LearnerError(f"flannel returned {str(shape)[:100]}; it must return a dict with {', '.join(_PARTS)}")
        for part, wanted in case.wanted().items():
            _compare(case, part, got[part], wanted)


def _compare(case: _Case, part: str, got: Any, wanted: dict[Any, Any]) -> None:
    if not isinstance(got, dict):
        raise LearnerError(f"the {part!r} of what flannel returned is {str(got)[:80]}; it must be a dict")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in got.items()}
    for key in wanted:
        if key not in values:
            raise Failed(
                f"There is no entry for {_shown(key)} in {part!r}, but there must be: {_shown(wanted[key])}.{_hint(case, part, key)}"
            )
        if values[key] != wanted[key]:
            raise Failed(
                f"In {part!r}, {_shown(key)} is {_shown(values[key])}, must be {_shown(wanted[key])}.{_hint(case, part, key)}"
            )
    extra = [key for key in values if key not in wanted]
    if extra:
        raise Failed(f"In {part!r} there is an entry too many: {_shown(extra[0])}, {_shown(values[extra[0]])}.{_too_many(case, extra[0], values[extra[0]])}")  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return mac_text(value)[:80]
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value[:4]))})"
    return (repr(value) if isinstance(value, str) else str(value))[:80]


def _hint(case: _Case, part: str, key: Any) -> str:
    if part == "device":
        return {
            "address": " flannel.1 has the first address of its node's subnet, as a /32: it makes no route of its own.",
            "port": " flannel uses the port that Linux had before 4789 was assigned.",
            "mtu": " 50 bytes are taken by the headers: outer IPv4 (20), UDP (8), VXLAN (8) and inner Ethernet (14).",
        }.get(key, "")
    if part == "routes" and any(key == lease.subnet for lease in case.straight()):
        return " Both nodes are on the same network, and direct routing is wanted: no tunnel."
    return {
        "routes": " The next hop is the VTEP address of that node: the first of its subnet, on flannel.1.",
        "arp": " Without it the node would ask on the tunnel who has that address.",
        "fdb": " Without it packets go into the tunnel device, and vanish: nobody knows to which node.",
    }[part]


def _too_many(case: _Case, key: Any, value: Any) -> str:
    own = (case.own.subnet, case.own.subnet[0], case.own.vtep_mac)
    if key in own:
        return " It is the node's own: its own pods are on its bridge."
    if any(key in (one.subnet, one.subnet[0], one.vtep_mac) and one.backend != "vxlan" for one in case.leases):
        return " That node does not use vxlan: there is no VTEP to send to."
    if any(key in (one.subnet[0], one.vtep_mac) for one in case.straight()):
        return " That node is reached without a tunnel."
    return ""
