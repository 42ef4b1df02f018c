"""Step 4 of the bridge: what is not forwarded, and how much is remembered. IEEE 802.1D-2004, 7.9 and 7.12.6."""

from grader.check import Handle, Step
from grader.checks.bridge.trial import CAPACITY, BridgeTrial
from podpath.packets import BROADCAST, mac

STEP = Step("Step 4: limits")


@STEP.check(
    "reserved",
    "frames to 01:80:c2:00:00:00 to 0f stay on their cable",
    1,
    "These sixteen addresses are for the two ends of one cable (spanning tree, LACP, LLDP): never forward them.",
    "BR-17",
    "BR-18",
)
def reserved(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a = t.station("A")
    here = t.pick(1)[0]
    neighbours = ["01:80:c2:00:00:10", "01:80:c2:00:00:21", "01:80:c2:00:01:00", "01:80:c2:01:00:00"]
    for address in neighbours:
        t.flood(
            bridge,
            here,
            t.frame(a, mac(address)),
            f"{address} is outside the reserved block, which is 01:80:c2:00:00:00 to 0f, but the frame left by {{got}}. It is "
            "a multicast address as any other: flood.",
        )
    for last in t.random.sample(range(16), 16):
        reserved_one = bytes([1, 0x80, 0xC2, 0, 0, last])
        t.arrive(
            bridge,
            here,
            t.frame(a, reserved_one),
            [],
            (
                f"A frame to {t.name(reserved_one)} was forwarded, out of {{got}}. It is reserved for this one cable: "
                "01:80:c2:00:00:00 to 0f are never forwarded."
            ),
        )


@STEP.check(
    "full-table",
    f"the table holds {CAPACITY} stations: when it is full, the old ones stay and new ones are flooded to",
    2,
    f"At most {CAPACITY} entries. When the table is full, a new station is not learned, and nothing else changes.",
    "BR-39",
)
def full_table(t: BridgeTrial) -> None:
    bridge = t.bridge()
    crowd = _crowd(t)
    watcher, other, *_ = t.ports
    w = t.station("W", crowd[watcher][0])
    arriving = [
        (port, t.frame(s, BROADCAST, b""), [p for p in t.ports if p != port])
        for port, stations in crowd.items()
        for s in stations
    ]
    t.arrive_all(bridge, arriving, f"{len(arriving)} stations speak, each to everyone: each frame is flooded")
    everyone = [(s, port) for port, stations in crowd.items() if port != watcher for s in stations]
    room = f"There must be room for {CAPACITY} stations, but one of the first {CAPACITY} was not remembered."
    _all_known(t, bridge, (w, watcher), everyone, room)
    new = _new_ones_are_not_learned(t, bridge, (w, watcher), other, everyone)
    gone = (
        "The table was full when new stations spoke, and an old entry was lost: a frame to an old station left by {got}. "
        "Existing entries stay."
    )
    _all_known(t, bridge, (w, watcher), everyone, gone)
    _may_move(t, bridge, (w, watcher), everyone)
    _room_after_ageing(t, bridge, watcher, other, w, new)


def _crowd(t: BridgeTrial) -> dict[str, list[bytes]]:
    """CAPACITY stations, spread over the ports."""
    numbers = t.random.sample(range(1 << 24), CAPACITY)
    crowd: dict[str, list[bytes]] = {port: [] for port in t.ports}
    for index, number in enumerate(numbers):
        crowd[t.ports[index % len(t.ports)]].append(b"\x0a\x58\x0a" + number.to_bytes(3, "big"))
    return crowd


def _all_known(
    t: BridgeTrial, bridge: Handle, asking: tuple[bytes, str], everyone: list[tuple[bytes, str]], why: str
) -> None:
    """A frame from W, which is `asking`, to each station reaches the port where it spoke, and no other."""
    w, watcher = asking
    arriving = [(watcher, t.frame(w, station, b""), [port]) for station, port in everyone]
    t.arrive_all(bridge, arriving, f"W -> each of the {len(everyone)} on other ports: out of its port only", why)


def _new_ones_are_not_learned(
    t: BridgeTrial, bridge: Handle, asking: tuple[bytes, str], port: str, everyone: list[tuple[bytes, str]]
) -> bytes:
    """Three more stations speak on `port`; one of them."""
    w, watcher = asking
    for name in "KLN":
        new = t.station(name)
        old, where = t.random.choice([(s, p) for s, p in everyone if p != port])
        t.arrive(
            bridge,
            port,
            t.frame(new, old),
            [where],
            "The table is full, and a frame from a new station to a known one left by {got}. Existing entries stay, and "
            "that the source is not learned changes nothing else: the frame is still forwarded.",
        )
        t.flood(
            bridge,
            watcher,
            t.frame(w, new),
            f"The table had {CAPACITY} entries, and one more station was learned. A full table learns nobody, and the "
            "existing entries stay: or anyone could fill the node's memory with made-up addresses.",
        )
    return new


def _may_move(t: BridgeTrial, bridge: Handle, asking: tuple[bytes, str], everyone: list[tuple[bytes, str]]) -> None:
    w, watcher = asking
    mover, origin = t.random.choice(everyone)
    t.station("M", mover)
    target = next(p for p in t.ports if p not in (origin, watcher))
    t.flood(bridge, target, t.frame(mover, BROADCAST))
    t.arrive(
        bridge,
        watcher,
        t.frame(w, mover),
        [target],
        f"M is in the full table and moved from {origin} to {target}, but a frame to it left by {{got}}: existing entries "
        "may change, also when the table is full.",
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
        f"A station of the full table spoke again 150 s ago on {watcher} and was forgotten: existing entries are "
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
