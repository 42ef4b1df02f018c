"""Step 3 of the bridge: entries age. IEEE 802.1D-2004, 7.9.2."""

from grader.check import Step
from grader.checks.bridge.trial import BridgeTrial
from podpath.packets import BROADCAST

STEP = Step("Step 3: forget")


@STEP.check(
    "ageing",
    "a station that has been silent for the ageing time is forgotten, and not before",
    2,
    "An entry lives for `ageing` seconds after the last frame from its station, by the clock that `now` is.",
    "BR-20",
    "BR-22",
)
def ageing(t: BridgeTrial) -> None:
    for ageing in (None, float(t.random.randrange(20, 200)), float(t.random.randrange(400, 1000))):
        _one_ageing(t, ageing)


def _one_ageing(t: BridgeTrial, ageing: float | None) -> None:
    life = 300.0 if ageing is None else ageing
    bridge = t.bridge(ageing=ageing)
    made = "by default" if ageing is None else "the ageing argument"
    a, b, c, d = (t.station(name) for name in "ABCD")
    here, there, third = t.pick(3)

    def early(since: float) -> str:
        return (
            f"A spoke {since:g} s ago and is still known, but frames to it left by {{got}}: it was forgotten too soon. An "
            f"entry lives for {life:g} s here ({made}), and every frame from A restarts its timer."
        )

    t.flood(bridge, here, t.frame(a, BROADCAST))
    t.wait(life - 1, bridge)
    t.arrive(bridge, there, t.frame(b, a), [here], early(life - 1))
    t.wait(0.5, bridge)
    t.arrive(bridge, here, t.frame(a, b), [there])
    t.wait(life - 1, bridge)
    t.arrive(bridge, third, t.frame(c, a), [here], early(life - 1))
    t.flood(bridge, here, t.frame(d, BROADCAST))
    t.wait(2, bridge)
    t.flood(
        bridge,
        third,
        t.frame(c, a),
        f"A has been silent for {life + 1:g} s, but frames to it still left by {{got}}. An entry lives for {life:g} s here "
        f"({made}), by the only clock there is, `now`.",
    )
    both = "was forgotten together with A, though it has spoken since: each station has its own timer."
    t.arrive(bridge, there, t.frame(b, c), [third], f"C {both}")
    t.arrive(bridge, third, t.frame(c, d), [here], f"D {both}")


@STEP.check(
    "silence",
    "frames to a station do not keep it alive, only frames from it do",
    1,
    "Only a frame from a station shows where it is: refresh the entry of the source, never that of the destination.",
    "BR-21",
    "MBR-10",
)
def silence(t: BridgeTrial) -> None:
    bridge = t.bridge()
    a, b, d = t.station("A"), t.station("B"), t.station("D")
    here, there = t.pick(2)
    t.flood(bridge, here, t.frame(a, BROADCAST))
    for _ in range(5):
        t.wait(55, bridge)
        t.arrive(bridge, there, t.frame(b, a), [here], "A is known, but a frame to it left by {got}.")
        t.flood(bridge, here, t.frame(d, BROADCAST))
    t.wait(55, bridge)
    t.flood(
        bridge,
        there,
        t.frame(b, a),
        "A has been silent for 330 s but is still in the table. Only frames from A keep its entry alive: not frames to "
        "it, and not frames from D, which is behind the same port.",
    )
    t.arrive(
        bridge,
        there,
        t.frame(b, d),
        [here],
        "D spoke 55 s ago, but a frame to it left by {got}: it was forgotten together with A. Each station has its own "
        "timer.",
    )
