"""Step 2 of the bridge: behind which port a station is. IEEE 802.1D-2004, 7.7.1 and 7.8."""

from grader.check import Handle, Step
from grader.checks.bridge.trial import BridgeTrial
from podpath.packets import BROADCAST, mac

STEP = Step("Step 2: learn")


@STEP.check(
    "learn-forward",
    "a station that has spoken is reached at its port, and nowhere else",
    2,
    "Remember behind which port each source address was seen; send frames to it out of that port only.",
    "BR-01",
    "BR-06",
    "MBR-01",
)
def learn_forward(t: BridgeTrial) -> None:
    t.begin_at(0.0)  # as good a time as any: `if heard_at:` is a mistake
    bridge = t.bridge()
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there, third = t.pick(3)
    _only_the_source_is_learned(t, bridge, (a, b, c), (here, there, third))
    for _ in range(3):
        t.arrive(bridge, there, t.frame(b, a), [here], _known("A", here))
        t.arrive(bridge, there, t.frame(b, a), [here], _known("A", here))
        t.arrive(bridge, here, t.frame(a, b), [there], _known("B", there))
    t.arrive(bridge, there, t.frame(b, c), [third], _known("C", third))
    neighbour = t.station("D")
    t.flood(bridge, here, t.frame(neighbour, BROADCAST, b""))
    both = (
        f"A and D are behind the same port, {here}, but a frame to {{of}} left by {{{{got}}}}. Remember each of them."
    )
    t.arrive(bridge, there, t.frame(b, neighbour), [here], _known("D", here))
    t.arrive(bridge, there, t.frame(b, a), [here], both.format(of="A"))
    t.arrive(bridge, there, t.frame(b, neighbour), [here], both.format(of="D"))
    _all_six_bytes_count(t, bridge, (a, here), (b, there), third)
    second = t.bridge(names=t.ports)
    t.flood(
        second,
        there,
        t.frame(b, a),
        "A second bridge, just made, already knows A: the two bridges share one table. Make the table in __init__, as "
        "self.table, not in the body of the class.",
    )


def _known(station: str, port: str) -> str:
    return f"{station} has spoken on {port}, but a frame to it left by {{got}}. {{compare}}"


def _only_the_source_is_learned(
    t: BridgeTrial, bridge: Handle, stations: tuple[bytes, ...], ports: tuple[str, ...]
) -> None:
    a, b, c = stations
    here, _, third = ports
    silent = (
        "B has never sent a frame, but a frame to it left by {got}, not by every port but its own. Learn where the source "
        "of a frame is, not its destination: the header is destination (6 bytes), source (6), type (2)."
    )
    t.flood(bridge, here, t.frame(a, b), silent)
    t.flood(bridge, third, t.frame(c, b), silent)


def _all_six_bytes_count(
    t: BridgeTrial, bridge: Handle, original: tuple[bytes, str], asking: tuple[bytes, str], elsewhere: str
) -> None:
    """Stations whose addresses differ from A's in one byte only. A station and its port each, and a port for those."""
    a, home = original
    b, there = asking
    for place in range(6):
        twin = bytes(byte ^ (0x10 if i == place else 0) for i, byte in enumerate(a))
        name = f"A{place + 1}"
        t.station(name, twin)
        t.flood(bridge, elsewhere, t.frame(twin, BROADCAST))
        mixed = f"{name} and A were mixed up: all six bytes of an address tell two stations apart."
        t.arrive(bridge, there, t.frame(b, a), [home], mixed)
        t.arrive(bridge, there, t.frame(b, twin), [elsewhere], mixed)


@STEP.check(
    "filter",
    "a frame to a station behind the port it came from is dropped",
    2,
    "When the destination is behind the ingress port it has the frame already: drop it. Learn first, then look up.",
    "BR-06",
    "BR-32",
    "MBR-04",
    "MBR-05",
)
def filter(t: BridgeTrial) -> None:
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


@STEP.check(
    "moved",
    "a station that moves is found at its new port at once",
    1,
    "The newest frame is right: learn the source's port anew with every frame, whether it is known already or not.",
    "BR-07",
    "MBR-06",
)
def moved(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    watcher, *places = t.pick(4)
    t.flood(bridge, watcher, t.frame(b, BROADCAST))
    previous = ""
    for number, place in enumerate([*places, *places]):
        t.wait(t.random.choice([0.5, 1, 20]), bridge)
        if number % 2:
            t.arrive(bridge, place, t.frame(a, b), [watcher])
        else:
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


@STEP.check(
    "group-source",
    "a group address is never learned, and every unicast address is",
    1,
    "A source whose lowest bit in the first byte is set is a group, never a station: do not learn it. No other bit counts.",
    "BR-15",
    "MBR-08",
    "MBR-09",
)
def group_source(t: BridgeTrial) -> None:
    bridge = t.bridge()
    b = t.station("B")
    here, there = t.pick(2)
    groups = [
        BROADCAST,
        t.station("an IPv4 group", mac("01:00:5e:00:00:fb")),
        t.station("another IPv4 group", mac("01:00:5e:00:00:02")),
        t.station("an IPv6 group", mac("33:33:00:00:00:01")),
        t.station("a group", bytes([t.random.randrange(32, 64) * 4 + 1]) + t.random.randbytes(5)),
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
    unicast = [
        bytes([t.random.randrange(32) * 4 + 2]) + t.random.randbytes(4) + b"\x02",
        bytes([t.random.randrange(32, 64) * 4 + 2]) + t.random.randbytes(4) + b"\xff",
        b"\x00\x16" + t.random.randbytes(3) + b"\x01",
    ]
    for name, address in zip("VWX", unicast, strict=True):
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
