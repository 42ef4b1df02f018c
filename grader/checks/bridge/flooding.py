"""Step 1 of the bridge: a frame goes everywhere but back. IEEE 802.1D-2004, 7.7.1."""

from grader.check import Step
from grader.checks.bridge.trial import BridgeTrial
from podpath.packets import BROADCAST, ETH_IPV4, ETH_VLAN, ethernet, mac

STEP = Step("Step 1: flood")


@STEP.check(
    "flood-unknown",
    "a frame to an unknown station leaves by every port but its own",
    2,
    "A destination that has not spoken may be anywhere: send the frame out of every port but the one it came from.",
    "BR-01",
    "BR-34",
    "BR-35",
    "MBR-02",
)
def flood_unknown(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    here = t.pick(1)[0]
    t.flood(bridge, here, t.frame(a, b))
    for _ in range(2):
        t.wait(1, bridge)
        t.flood(
            bridge,
            here,
            t.frame(a, b),
            "B has still not spoken, but the frame now left by {got}. Flood it every time until B speaks: that it was "
            "flooded before tells nothing about where B is.",
        )
    for port, name in zip(t.ports, "CDEFGHI", strict=False):
        t.flood(bridge, port, t.frame(t.station(name), b))
    alone = t.bridge(ports=1)
    t.arrive(alone, t.ports[0], t.frame(a, b), [])


@STEP.check(
    "flood-group",
    "broadcast and multicast frames leave by every port but their own",
    1,
    "A group address (lowest bit of its first byte set) is for many: flood it, as you do broadcast.",
    "BR-04",
    "BR-05",
)
def flood_group(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b = t.station("A"), t.station("B")
    groups = [
        BROADCAST,
        t.station("the group of all IPv4 hosts", mac("01:00:5e:00:00:01")),
        t.station("the group of all IPv6 hosts", mac("33:33:00:00:00:01")),
        t.station("a group", bytes([t.random.randrange(16) * 16 + 9]) + t.random.randbytes(5)),
    ]
    t.random.shuffle(groups)
    for group in groups:
        kind = "a broadcast" if group == BROADCAST else "a multicast"
        for station, port in zip((a, b), t.pick(2), strict=True):
            t.flood(
                bridge,
                port,
                t.frame(station, group),
                f"This is {kind} frame, to {t.name(group)}, and it left by {{got}}. It must leave by every port but {port}, "
                "the port it arrived on.",
            )


@STEP.check(
    "unchanged",
    "not one byte of a frame is changed",
    1,
    "A bridge forwards the frame unchanged: the same bytes, no more and no fewer.",
    "BR-23",
    "MBR-17",
)
def unchanged(t: BridgeTrial) -> None:
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
    t.reach(bridge, there, t.frame(b, a), here)
    for frame in frames:
        t.reach(bridge, here, frame, there)


@STEP.check(
    "too-short",
    "what is too short for an Ethernet header is dropped, and teaches nothing",
    1,
    "An Ethernet header has 14 bytes. Drop what is shorter before you look at it: no error, nothing learned.",
    "BR-25",
)
def too_short(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, c = t.station("A"), t.station("B"), t.station("C")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, b, b""))
    t.reach(bridge, there, t.frame(b, a, b""), here)
    for length in (13, 12, 7, 6, 1, 0):
        cut = t.frame(c, BROADCAST)[:length]
        t.arrive(bridge, there, cut, [], f"A frame of {length} bytes was sent on. It has no whole header: drop it.")
    t.flood(
        bridge,
        here,
        t.frame(a, c),
        f"A frame of 13 bytes taught the bridge that C is behind {there}. What is too short teaches nothing.",
    )
