"""Lab 02, the learning bridge: its checks on the bench, and the facts of the lab.

The rules are those of IEEE 802.1D-2004, 7.7 to 7.9, without VLANs, spanning tree and isolated ports; the identifiers
in `cites` are rows of the conformance cases.
"""

from collections.abc import Callable

from grader.check import Check, Handle, Lab
from grader.checks import bridge_live
from grader.checks.bridge_trial import CAPACITY, BridgeTrial, bridge_trial
from podpath.packets import BROADCAST, ETH_IPV4, ETH_VLAN, ethernet, mac

FLOOD, LEARN = "Step 1: flood", "Step 2: learn"
FORGET, LIMITS, LIVE = "Step 3: forget", "Step 4: limits", "Step 5: live"

_checks: list[Check] = []


def _check(slug: str, name: str, step: str, points: int, rule: str, *cites: str) -> Callable[..., None]:
    def register(run: Callable[[BridgeTrial], None]) -> None:
        _checks.append(Check(slug, name, step, points, rule, cites, run))

    return register


@_check(
    "flood-unknown",
    "a frame to an unknown station leaves by every port but its own",
    FLOOD,
    2,
    "A destination that has not spoken may be anywhere: send the frame out of every port but the one it came from.",
    "BR-01",
    "BR-34",
    "BR-35",
    "MBR-02",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, b))
    for _ in range(2):
        t.wait(1, bridge)
        t.flood(
            bridge,
            here,
            t.frame(a, b),
            (
                "B has still not spoken, but the frame now left by {got}. Flood until it does: "
                "that it was flooded before tells nothing about where B is."
            ),
        )
    t.flood(bridge, there, t.frame(c, b))
    alone = t.bridge(ports=1)
    t.arrive(alone, t.ports[0], t.frame(a, b), [])


@_check(
    "flood-group",
    "broadcast and multicast frames leave by every port but their own",
    FLOOD,
    1,
    "A group address (lowest bit of its first byte set) is for many: flood it, as you do broadcast.",
    "BR-04",
    "BR-05",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    groups = [
        BROADCAST,
        t.station("all IPv4 hosts", mac("01:00:5e:00:00:01")),
        t.station("all IPv6 hosts", mac("33:33:00:00:00:01")),
        t.station("a group", bytes([t.random.randrange(16) * 16 + 9]) + t.random.randbytes(5)),
    ]
    t.random.shuffle(groups)
    for group in groups:
        for station, port in zip((a, b), t.pick(2), strict=True):
            t.flood(
                bridge,
                port,
                t.frame(station, group),
                (
                    f"A frame to {t.name(group)} left by {{got}}: it must reach every port "
                    f"but {port}, where it came from."
                ),
            )


@_check(
    "unchanged",
    "not one byte of a frame is changed",
    FLOOD,
    1,
    "A bridge forwards the frame unchanged: the same bytes, no more and no fewer.",
    "BR-23",
    "MBR-17",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    here, there = t.pick(2)
    ip = b"\x45\0\0\x1c\0\0\0\0\x40\x11" + t.random.randbytes(18) + bytes(18)  # padded with zeros, as short ones are
    tagged = (t.random.randrange(1, 4095)).to_bytes(2, "big") + b"\x08\0" + t.random.randbytes(46)
    payloads = [t.random.randbytes(n) for n in (0, 1, 45, 46, 1500)] + [bytes(46), b"  padded  \0\0"]
    frames = [t.frame(a, b, payload) for payload in payloads]
    frames += [ethernet(b, a, ETH_IPV4, ip), ethernet(b, a, ETH_VLAN, tagged)]
    for frame in frames:
        t.flood(bridge, here, frame)
    t.arrive(bridge, there, t.frame(b, a), [here])
    for frame in frames:
        t.arrive(bridge, here, frame, [there])


@_check(
    "too-short",
    "what is too short for an Ethernet header is dropped, and teaches nothing",
    FLOOD,
    1,
    "An Ethernet header has 14 bytes. Drop what is shorter before you look at it: no error, nothing learned.",
    "BR-25",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, b, b""), "14 bytes are a whole header: such a frame is forwarded as any other.")
    t.arrive(bridge, there, t.frame(b, a, b""), [here], "14 bytes are a whole header: such a frame is learned from.")
    for length in (13, 12, 7, 6, 1, 0):
        cut = t.frame(c, BROADCAST)[:length]
        t.arrive(bridge, there, cut, [], f"A frame of {length} bytes was sent on. It has no whole header: drop it.")
    t.flood(
        bridge,
        here,
        t.frame(a, c),
        f"A frame of 13 bytes taught the bridge that C is behind {there}. What is too short teaches nothing.",
    )


@_check(
    "learn-forward",
    "a station that has spoken is reached at its port, and nowhere else",
    LEARN,
    2,
    "Remember behind which port each source address was seen; send frames to it out of that port only.",
    "BR-01",
    "BR-06",
    "MBR-01",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there, third = t.pick(3)

    def known(station: str, port: str) -> str:
        return (
            f"{station} has spoken on {port}, but a frame to it left by {{got}}. A hub sends every frame everywhere; a "
            "bridge sends frames to a station that has spoken to its port, and to no other."
        )

    t.flood(bridge, here, t.frame(a, b))
    t.flood(
        bridge,
        third,
        t.frame(c, b),
        (
            "B has never sent a frame, but a frame to it left by {got} only. Learn where the "
            "source of a frame is, not its destination: the header is destination (6 bytes), source (6), type (2)."
        ),
    )
    t.arrive(bridge, there, t.frame(b, a), [here], known("A", here))
    t.arrive(bridge, here, t.frame(a, b), [there], known("B", there))
    t.arrive(bridge, there, t.frame(b, c), [third], known("C", third))
    neighbour = t.station("D")
    t.flood(bridge, here, t.frame(neighbour, BROADCAST))
    both = f"Several stations may be behind one port ({here} has A and D): remember each of them."
    t.arrive(bridge, there, t.frame(b, neighbour), [here], known("D", here))
    t.arrive(bridge, there, t.frame(b, a), [here], both)
    for name, twin in (("E", a[:3] + b[3:]), ("F", c[:3] + a[3:])):
        t.station(name, twin)
        t.flood(bridge, third, t.frame(twin, BROADCAST))
        mixed = f"{name} and A were mixed up: all six bytes of an address tell two stations apart."
        t.arrive(bridge, there, t.frame(b, a), [here], mixed)
        t.arrive(bridge, there, t.frame(b, twin), [third], mixed)
    second = t.bridge(ports=len(t.ports))
    t.flood(
        second,
        t.ports[0],
        t.frame(b, a),
        "A second bridge, just made, already knows A: the two objects share one table. Make the table in __init__, "
        "as self.table, not in the body of the class.",
    )


@_check(
    "filter",
    "a frame to a station behind the port it came from is dropped",
    LEARN,
    2,
    "When the destination is behind the ingress port it has the frame already: drop it. Learn first, then look up.",
    "BR-06",
    "BR-32",
    "MBR-04",
    "MBR-05",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, c, s = t.station("A"), t.station("B"), t.station("C"), t.station("S")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, BROADCAST))
    t.arrive(bridge, there, t.frame(b, a), [here])
    t.arrive(
        bridge,
        here,
        t.frame(c, a),
        [],
        (
            f"A and C are both behind {here}. A frame between them on {here} must be dropped, yours came out of "
            f"{{got}}."
        ),
    )
    t.arrive(
        bridge, there, t.frame(b, c), [here], f"C spoke on {here}. Its frame was to be dropped, but learned from."
    )
    t.arrive(
        bridge,
        there,
        t.frame(s, s),
        [],
        "The frame's own source is its destination. Learn first, then look up: the destination is then on the ingress "
        "port, so drop.",
    )


@_check(
    "moved",
    "a station that moves is found at its new port at once",
    LEARN,
    1,
    "The newest frame is right: learn the source's port anew with every frame, whether it is known already or not.",
    "BR-07",
    "MBR-06",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    watcher, *places = t.pick(4)
    previous = ""
    for place in [*places, places[0]]:
        t.wait(t.random.choice([0.5, 1, 20]), bridge)
        t.flood(bridge, place, t.frame(a, BROADCAST))
        t.arrive(
            bridge,
            watcher,
            t.frame(b, a),
            [place],
            f"A moved from {previous} to {place} and spoke from there. Frames to A left by {{got}}: the newest source "
            "port wins."
            if previous
            else f"A spoke on {place}, but a frame to it left by {{got}}.",
        )
        previous = place


@_check(
    "group-source",
    "a group address is never learned, and every unicast address is",
    LEARN,
    1,
    "A source whose lowest bit in the first byte is set is a group, never a station: do not learn it. No other bit counts.",
    "BR-15",
    "MBR-08",
    "MBR-09",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    b = t.station("B")
    here, there = t.pick(2)
    groups = [
        BROADCAST,
        t.station("a group", mac("01:00:5e:00:00:fb")),
        t.station("another", b"\x03" + t.random.randbytes(5)),
    ]
    for group in groups:
        t.whatever(bridge, here, t.frame(group, b))
        t.flood(
            bridge,
            there,
            t.frame(b, group),
            (
                f"A frame whose source was {t.name(group)} was learned from; now frames to {t.name(group)} reach only "
                f"{{got}}. Group addresses (lowest bit of the first byte set) are never a station."
            ),
        )
    own = [
        bytes([t.random.randrange(64) * 4 + 2]) + t.random.randbytes(4) + b"\x02",
        b"\x00\x16" + t.random.randbytes(3) + b"\xff",
    ]
    for name, address in zip("VW", own, strict=True):
        t.station(name, address)
        t.flood(bridge, here, t.frame(address, BROADCAST))
        t.arrive(
            bridge,
            there,
            t.frame(b, address),
            [here],
            (
                f"{name} spoke on {here} and its address is no group address, but it was not learned: a frame to it left "
                f"by {{got}}. Only the lowest bit of the first byte (frame[6] & 1) tells."
            ),
        )


@_check(
    "ageing",
    "a station that has been silent for the ageing time is forgotten, and not before",
    FORGET,
    2,
    "An entry lives for `ageing` seconds after the last frame from its station, by the clock that `now` is.",
    "BR-20",
    "BR-22",
)
def _(t: BridgeTrial) -> None:
    for ageing in (None, float(t.random.randrange(20, 200)), float(t.random.randrange(400, 1000))):
        _one_ageing(t, ageing)


def _one_ageing(t: BridgeTrial, ageing: float | None) -> None:
    life = 300.0 if ageing is None else ageing
    bridge = t.bridge(ageing=ageing)
    made = "by default" if ageing is None else "as it was made with"
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there, third = t.pick(3)

    def early(since: float) -> str:
        return (
            f"A spoke {since:g} s ago, and frames to it left by {{got}}: it was forgotten too soon. "
            f"An entry lives for {life:g} s here ({made}), and every frame from A starts them anew."
        )

    t.flood(bridge, here, t.frame(a, BROADCAST))
    t.wait(life - 1, bridge)
    t.arrive(bridge, there, t.frame(b, a), [here], early(life - 1))
    t.wait(0.5, bridge)
    t.arrive(bridge, here, t.frame(a, b), [there])
    t.wait(life - 1, bridge)
    t.arrive(bridge, third, t.frame(c, a), [here], early(life - 1))
    t.wait(2, bridge)
    t.flood(
        bridge,
        third,
        t.frame(c, a),
        (
            f"A has been silent for {life + 1:g} s, but frames to it still left by {{got}}. An entry "
            f"lives for {life:g} s here ({made}). The only clock is `now`."
        ),
    )
    t.arrive(
        bridge,
        there,
        t.frame(b, c),
        [third],
        "C spoke just now, and was forgotten together with A: each entry has a time of its own.",
    )


@_check(
    "silence",
    "frames to a station do not keep it alive, only frames from it do",
    FORGET,
    1,
    "Only a frame from a station shows where it is: refresh the entry of the source, never that of the destination.",
    "BR-21",
    "MBR-10",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, BROADCAST))
    for _ in range(5):
        t.wait(55, bridge)
        t.arrive(bridge, there, t.frame(b, a), [here], "A is known, but a frame to it left by {got}.")
    t.wait(55, bridge)
    t.flood(
        bridge,
        there,
        t.frame(b, a),
        "A has been silent for 330 s but is still in the table. Only frames from A keep its entry alive, not frames "
        "to it.",
    )


@_check(
    "reserved",
    "frames to 01:80:c2:00:00:00 to 0f stay on their cable",
    LIMITS,
    1,
    "These sixteen addresses are for the two ends of one cable (spanning tree, LACP, LLDP): never forward them.",
    "BR-17",
    "BR-18",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a = t.station("A")
    here = t.pick(1)[0]
    neighbours = ["01:80:c2:00:00:10", "01:80:c2:00:00:21", "01:80:c2:00:01:00", "01:80:c2:01:00:00"]
    for address in neighbours:
        t.flood(
            bridge,
            here,
            t.frame(a, mac(address)),
            f"{address} is not reserved: only 01:80:c2:00:00:00 to 0f are. It is a multicast address as any other: flood.",
        )
    for last in t.random.sample(range(16), 16):
        address = bytes([1, 0x80, 0xC2, 0, 0, last])
        t.arrive(
            bridge,
            here,
            t.frame(a, address),
            [],
            (
                f"A frame to {t.name(address)} was forwarded, out of {{got}}. It is reserved for this one cable: "
                "01:80:c2:00:00:00 to 0f are never forwarded."
            ),
        )


@_check(
    "full-table",
    f"the table holds {CAPACITY} stations: when it is full, the old ones stay and new ones are flooded to",
    LIMITS,
    2,
    f"At most {CAPACITY} entries. When the table is full, a new station is not learned, and nothing else changes.",
    "BR-39",
)
def _(t: BridgeTrial) -> None:
    bridge = t.bridge()
    crowd = _crowd(t)
    watcher, other, *_ = t.ports
    w = t.station("W", crowd[watcher][0])
    arriving = [(port, t.frame(s, BROADCAST, b"")) for port, stations in crowd.items() for s in stations]
    t.arrive_all(bridge, arriving, f"{len(arriving)} stations speak, each to everyone")
    everyone = [(s, port) for port, stations in crowd.items() if port != watcher for s in stations]
    for station, port in [everyone[0], everyone[-1], *t.random.sample(everyone, 6)]:
        t.arrive(bridge, watcher, t.frame(w, station), [port], f"The table must have room for {CAPACITY} stations.")
    new = t.station("N")
    old, where = next((s, port) for s, port in everyone if port != other)
    t.arrive(
        bridge,
        other,
        t.frame(new, old),
        [where],
        (
            "The table is full, and a frame from a new station to a known one left by {got}. "
            "That the source is not learned does not change where the frame goes."
        ),
    )
    t.flood(
        bridge,
        watcher,
        t.frame(w, new),
        f"The table had {CAPACITY} entries, and one more station was learned. A full table learns nobody: or anyone could "
        "fill the node's memory with made-up addresses.",
    )
    _old_ones_stay(t, bridge, watcher, w, everyone)
    _room_after_ageing(t, bridge, watcher, other, w, new)


def _crowd(t: BridgeTrial) -> dict[str, list[bytes]]:
    """CAPACITY stations, spread over the ports."""
    numbers = t.random.sample(range(1 << 24), CAPACITY)
    crowd: dict[str, list[bytes]] = {port: [] for port in t.ports}
    for index, number in enumerate(numbers):
        crowd[t.ports[index % len(t.ports)]].append(b"\x0a\x58\x0a" + number.to_bytes(3, "big"))
    return crowd


def _old_ones_stay(t: BridgeTrial, bridge: Handle, watcher: str, w: bytes, everyone: list[tuple[bytes, str]]) -> None:
    gone = "The table was full when a new station spoke, and an old one was forgotten for it. Entries that are alive stay."
    for old, port in t.random.sample(everyone, 8):
        t.arrive(bridge, watcher, t.frame(w, old), [port], gone)
    (mover, origin), *_ = t.random.sample(everyone, 1)
    t.station("M", mover)
    target = next(p for p in t.ports if p not in (origin, watcher))
    t.flood(bridge, target, t.frame(mover, BROADCAST))
    t.arrive(
        bridge,
        watcher,
        t.frame(w, mover),
        [target],
        f"M is in the full table and moved from {origin} to {target}: an entry that is there may change, also when the "
        "table is full.",
    )


def _room_after_ageing(t: BridgeTrial, bridge: Handle, watcher: str, other: str, w: bytes, new: bytes) -> None:
    t.wait(200, bridge)
    t.flood(bridge, watcher, t.frame(w, BROADCAST))
    t.wait(150, bridge)
    t.arrive(
        bridge,
        other,
        t.frame(new, w),
        [watcher],
        f"A station of the full table spoke again 150 s ago on {watcher} and was forgotten: an entry that is there is "
        "refreshed, also when the table is full.",
    )
    t.arrive(
        bridge,
        watcher,
        t.frame(w, new),
        [other],
        "All others have been silent for 350 s, so there is room again, but the new station was not learned: an entry "
        "that has expired takes no room.",
    )


_check(
    "live-ping",
    "real pods ping each other through it",
    LIVE,
    1,
    "Three Linux hosts and their node know nothing of your bridge; ARP and ICMP must simply pass.",
)(bridge_live.pods_ping)
_check(
    "live-private",
    "what one pod sends to another is seen by no third",
    LIVE,
    1,
    "Once both have spoken, frames between two pods pass on their two ports only.",
    "BR-06",
)(bridge_live.third_pods_see_nothing)
_check(
    "live-kernel",
    "the same frames leave by the same ports as from the kernel's bridge",
    LIVE,
    1,
    "The kernel's bridge follows the same standard: where it sends a frame, yours sends it.",
)(bridge_live.as_the_kernel)

LAB = Lab("02", "bridge", "LearningBridge", "LearningBridge(ports, ageing=300.0)", bridge_trial, tuple(_checks))
