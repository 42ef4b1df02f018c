"""One picture of each kind, from fixed inputs: what the stored structures are of."""

from collections.abc import Callable
from ipaddress import IPv4Address

from matplotlib.axes import Axes

from podpath import draw, packets, topology
from podpath.journey import Captured
from podpath.journey import packets as packets_of
from podpath.packets import ethernet, icmp_echo, ipv4, udp
from podpath.path import Place
from podpath.probe import Echo, Reachability
from podpath.rules import parse_iptables, parse_nftables
from podpath.shares import NO_ANSWER
from podpath.tables import History, Span
from podpath.trace import Died, Journey

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-ONE - [0:0]
:KUBE-SEP-TWO - [0:0]
[{0}:{0}] -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
[{1}:{1}] -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -j KUBE-SVC-WEB
[{2}:{2}] -A KUBE-SVC-WEB -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ONE
[{3}:{3}] -A KUBE-SVC-WEB -j KUBE-SEP-TWO
[{2}:{2}] -A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 10.244.1.2:8080
[{3}:{3}] -A KUBE-SEP-TWO -p tcp -m tcp -j DNAT --to-destination 10.244.2.2:8080
COMMIT
"""
LISTED = """table ip web {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.96.0.1 tcp dport 80 counter packets 7 bytes 420 jump web
		ip daddr 10.96.0.2 drop
	}

	chain web {
		counter packets 7 bytes 420 dnat to numgen random mod 2 map { 0 : 10.244.1.2, 1 : 10.244.2.2 }
	}
}
"""


def a_matrix(count: int) -> Reachability:
    """Every third pair has no answer."""
    names = [f"pod{number}" for number in range(1, count + 1)]
    pairs = [(a, b) for a in names for b in names if a != b]
    return Reachability(names, [Echo(a, b, 0.001 if i % 3 else None, 1) for i, (a, b) in enumerate(pairs)])


def a_history(spans: list[Span], seconds: float) -> History:
    """One that has been."""
    made = History(dict)
    made.spans, made.seconds = spans, seconds
    return made


def _table() -> Axes:
    one, two = "0a:58:0a:f4:01:02", "0a:58:0a:f4:01:03"
    spans = [Span(one, "topod1", 0.0, 0.8), Span(two, "topod2", 0.3), Span(one, "topod2", 0.8, 0.82)]
    return draw.table(a_history([*spans, Span(one, "topod1", 1.2)], 2.0))


def _journey() -> Axes:
    """An echo request that is sent through a tunnel, and dies behind it."""
    a, b = (packets.mac(topology.cni_mac(IPv4Address(text))) for text in ("10.244.1.2", "10.244.1.1"))
    hosts = [IPv4Address(text) for text in ("10.244.1.2", "10.244.2.2", "172.16.0.1", "172.16.0.2")]
    bare = [
        ethernet(b, a, 0x0800, ipv4(hosts[0], hosts[1], packets.ICMP, icmp_echo(8, 7, 1, b"x" * 40), ttl, 99))
        for ttl in (64, 63)
    ]
    outer = udp(50000, 8472, bytes([8, 0, 0, 0, 0, 0, 1, 0]) + bare[1])
    tunnelled = ethernet(a, b, 0x0800, ipv4(hosts[2], hosts[3], packets.UDP, outer))
    way = [
        Captured(0.0, Place("pod1", "eth0", True), bare[0]),
        Captured(0.00002, Place("node1", "topod1", False), bare[0]),
        Captured(0.00005, Place("node1", "flannel.1", True), bare[1]),
        Captured(0.00006, Place("node1", "eth0", True), tunnelled),
        Captured(0.0012, Place("node2", "eth0", False), tunnelled),
    ]
    died = Died(way[-1].place, None, "the echo request arrived at node2, which did not unpack it")
    return draw.journeys([Journey(packets_of(way)[0], way, [], False, died)], died)


def _crowded() -> Axes:
    """Values too long for their bars, and one that changes often."""
    word = "answers 10.244.2.2:80 > 10.244.1.2:56390"
    hasty = [
        Span("TCP", f"{word} {state}", 0.03 * n, 0.03 * (n + 1)) for n, state in enumerate(("SYN_SENT", "FIN_WAIT"))
    ]
    late = [Span("ICMP", "answers 203.0.113.10:8621", 0.098), Span("UDP", word, 0.08, 0.09)]
    return draw.table(a_history([*hasty, Span("TCP", f"{word} TIME_WAIT", 0.06), *late], 0.1))


SHARES = {"web-1": 512, "web-2": 488, "web-3": 0}
CURVES = {
    "iptables": {10.0: [2.1e-5, 2.4e-5], 100.0: [3e-5, 3.3e-5, 3.1e-5], 5000.0: [6e-4, 7e-4]},
    "nftables": {10.0: [2.0e-5, 2.2e-5], 100.0: [2.1e-5], 5000.0: [2.2e-5, 2.3e-5]},
    "eBPF": {10.0: [1.9e-5], 100.0: [2.0e-5], 5000.0: [2.15e-5]},
}
EXAMPLES: dict[str, Callable[[], Axes]] = {
    "topology": lambda: draw.topology(topology.plan(2, 2, {"bridge": "learner", "overlay": "kernel"})),
    "topology-in-rows": lambda: draw.topology(topology.plan(1, 15, "nobody")),
    "reachability": lambda: draw.reachability(a_matrix(4)),
    "reachability-of-many": lambda: draw.reachability(a_matrix(32)),
    "journey": _journey,
    "table": _table,
    "table-crowded": _crowded,
    "table-empty": lambda: draw.table(a_history([], 1.0)),
    "rules": lambda: draw.rules(parse_iptables(SAVED.format(9, 5, 2, 3)), parse_iptables(SAVED.format(6, 4, 2, 2))),
    "rules-nftables": lambda: draw.rules(parse_nftables(LISTED)),
    "shares": lambda: draw.shares(SHARES, dict.fromkeys(SHARES, 1 / 3)),
    "shares-lost": lambda: draw.shares({"web-1": 60, "web-2": 20, NO_ANSWER: 20}, {"web-1": 0.75, "web-2": 0.25}),
    "growth": lambda: draw.growth(CURVES, "services", "a new connection"),
    "growth-of-one": lambda: draw.growth({"alone": {10.0: [0.0]}}),
}
