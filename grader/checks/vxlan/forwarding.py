"""Step 2 of the overlay: which node gets a frame, and what comes from where. RFC 7348, 4."""

from ipaddress import IPv4Address

from grader.check import Failed, Handle, Step
from grader.checks.vxlan.format import bad
from grader.checks.vxlan.outer import Tunnel
from grader.checks.vxlan.trial import OVERLAY, VxlanTrial
from podpath.packets import BROADCAST, mac

STEP = Step("Step 2: where to")


@STEP.check(
    "flood",
    "a frame to everyone, to a group or to a stranger goes to every peer",
    1,
    "Broadcast, multicast and unknown destinations: one packet to each peer (head-end replication).",
    "VX-16",
    "VX-17",
    "MVX-09",
    "MVX-16",
)
def flood(t: VxlanTrial) -> None:
    for count in (t.random.randrange(3, 7), 1):
        vtep = t.vtep(peers=count)
        a, b = t.station("A"), t.station("B")
        groups = [BROADCAST, mac("01:00:5e:00:00:01"), mac("33:33:00:00:00:01"), b"\x09" + t.random.randbytes(5)]
        for _ in range(2):
            t.out(vtep, t.frame(a, b), t.peers)
        for group in groups:
            t.out(vtep, t.frame(a, group), t.peers)
        t.out(vtep, t.ip_frame(a, b), t.peers)
        t.out(vtep, t.frame(a, b, b""), t.peers)
    lonely = t.vtep(peers=0)
    t.out(lonely, t.frame(a, BROADCAST), [])
    usual = t.vtep(default_port=True)
    t.out(usual, t.frame(a, BROADCAST), t.peers)


@STEP.check(
    "horizon",
    "what comes from a node is handed to the overlay, and never sent on to another node",
    1,
    "Frames received from a VTEP are delivered locally only (split horizon).",
    "VX-18",
    "VX-27",
    "MVX-07",
)
def horizon(t: VxlanTrial) -> None:
    vtep = t.vtep(peers=t.random.randrange(3, 6))
    a, b, c = (t.station(name) for name in "ABC")
    for peer in t.peers:
        t.into(vtep, t.frame(t.station(f"a station behind {peer}"), BROADCAST), peer)
    first, second, *_ = t.peers
    t.into(vtep, t.frame(a, c), first)
    t.into(vtep, t.frame(b, mac("01:00:5e:00:00:01")), second)
    t.into(vtep, t.frame(a, b), first)
    t.into(vtep, t.frame(b, a), second)
    t.into(vtep, t.ip_frame(b, a), second)
    t.into(vtep, t.frame(b, a, b""), second)


@STEP.check(
    "learn",
    "a station is behind the node from which its last frame came",
    1,
    "Learn the inner source MAC address together with the outer source IPv4 address, of every frame that is delivered.",
    "VX-16",
    "VX-19",
    "VX-21",
    "VX-24",
    "MVX-06",
    "MVX-10",
)
def learn(t: VxlanTrial) -> None:
    vtep = t.vtep(peers=4)
    local = t.station("L, which is on the overlay here")
    a, b = t.station("A"), t.station("B")
    first, second, third, _ = t.peers
    t.out(vtep, t.frame(local, a), t.peers)
    t.into(vtep, t.ip_frame(a, BROADCAST), first)
    t.into(vtep, t.ip_frame(b, local), second)
    why = f"A frame from A came from {first}: the outer source is where A is. But a frame to A went to {{got}}."
    t.out(vtep, t.frame(local, a), [first], why)
    t.out(vtep, t.frame(local, b), [second])
    t.out(vtep, t.frame(local, t.station("C")), t.peers)
    t.into(vtep, t.frame(a, local), third)
    t.out(
        vtep,
        t.frame(local, a),
        [third],
        f"A was behind {first} and has now been heard from {third}, but a frame to it went to {{got}}: the newest is right.",
    )
    t.out(vtep, t.frame(local, b), [second])
    _not_to_itself(t, vtep, local)
    _only_stations(t, vtep, local, first)
    _each_its_own(t, a, local)


def _not_to_itself(t: VxlanTrial, vtep: Handle, local: bytes) -> None:
    """What is for a station of its own overlay may be flooded or dropped, and nothing else makes sense."""
    event = "a frame between two stations of the overlay here"
    sent = t.ask(vtep, OVERLAY, t.frame(t.station("M, also here"), local), event)
    if any(packet[16:20] == t.address.packed for _, packet in sent):
        t.transcript.wrong(f"{event}: was sent to {t.address}")
        raise Failed(
            f"It was sent to {t.address}, which is your own address. Learn from what comes from other VTEPs only."
        )
    t.transcript.say(f"{event}: not sent to ourselves; whether it is flooded or dropped does not matter")


def _only_stations(t: VxlanTrial, vtep: Handle, local: bytes, peer: IPv4Address) -> None:
    """Neither a group nor nobody is a station."""
    group = mac("01:00:5e:01:02:03")
    for source in (BROADCAST, group, bytes(6)):
        frame = t.frame(source, local)
        t.transcript.note(f"a forged frame, whose source is {t.name(source)}, comes from {peer}")
        t.ask(vtep, "underlay", t.tunnel(frame, peer).packet(), "a forged frame")
        t.out(
            vtep,
            t.frame(local, source),
            t.peers,
            f"A forged frame with the source {t.name(source)} was learned from: frames to it went to {{got}}. A group address, "
            "or one of zeros, is no station.",
        )


def _each_its_own(t: VxlanTrial, station: bytes, local: bytes) -> None:
    """The same station in two networks."""
    number, vteps = t.vni, []
    for vni in (number, number ^ 2):
        t.vni = vni
        vteps.append((vni, t.vtep(peers=3)))
    for (vni, vtep), peer in zip(vteps, t.peers, strict=False):
        t.vni = vni
        t.into(vtep, t.frame(station, local), peer)
    for (vni, vtep), peer in zip(vteps, t.peers, strict=False):
        t.vni = vni
        t.out(
            vtep,
            t.frame(local, station),
            [peer],
            f"There are two Vteps with different VNIs, and the same MAC address in both networks. In VNI {vni} it is behind "
            f"{peer}, but a frame to it went to {{got}}: what one of them learns is its own.",
        )
    t.vni = number


@STEP.check(
    "static",
    "an entry of add() is believed before anything that was learned, and for ever",
    1,
    "Static entries win over learned ones, whichever came first, and they do not age.",
    "VX-16",
    "VX-23",
)
def static(t: VxlanTrial) -> None:
    vtep = t.vtep(peers=3, ageing=60.0)
    local, a, b = t.station("L"), t.station("A"), t.station("B")
    first, second, third = t.peers
    t.add(vtep, a, first)
    t.out(vtep, t.frame(local, a), [first], "add() said where A is, but a frame to it went to {got}.")
    won = (
        "add() said that A is behind {0}, but a frame to it went to {{got}}: a static entry wins over a learned one."
    )
    t.into(vtep, t.frame(a, local), second)
    t.out(vtep, t.frame(local, a), [first], won.format(first))
    t.into(vtep, t.frame(b, local), second)
    t.out(vtep, t.frame(local, b), [second])
    t.add(vtep, b, third)
    t.out(
        vtep,
        t.frame(local, b),
        [third],
        f"B was learned behind {second}, then add() said {third}; it went to {{got}}.",
    )
    t.wait(400, vtep)
    old = "400 s later a frame to {0} went to {{got}}: an entry of add() does not age."
    t.out(vtep, t.frame(local, a), [first], old.format("A"))
    t.out(vtep, t.frame(local, b), [third], old.format("B"))
    t.add(vtep, a, third)
    t.out(
        vtep,
        t.frame(local, a),
        [third],
        f"add() was called again, with {third}: the last call counts. It went to {{got}}.",
    )
    alone = t.vtep(peers=0)
    far = t.others[5]
    t.add(alone, a, far)
    t.out(alone, t.frame(local, a), [far], f"add() named {far}, which is no peer; a frame to A went to {{got}}.")
    t.out(alone, t.frame(local, b), [])
    t.into(
        alone,
        t.frame(a, local),
        far,
        f"{far} was named by add(), and a packet from it was dropped: it is no stranger.",
    )


@STEP.check(
    "ageing",
    "what was learned is forgotten when the station has been silent for the ageing time, and not before",
    1,
    "An entry lives for `ageing` seconds after the last frame from its station, by the clock that `now` is.",
    "VX-19",
)
def ageing(t: VxlanTrial) -> None:
    for chosen in (float(t.random.randrange(20, 200)), float(t.random.randrange(400, 900)), None):
        _one_ageing(t, chosen)


def _one_ageing(t: VxlanTrial, chosen: float | None) -> None:
    life = 300.0 if chosen is None else chosen
    if chosen is None:
        t.start = t.now = 0.0  # a clock may begin there
    vtep = t.vtep(peers=3) if chosen is None else t.vtep(peers=3, ageing=chosen)
    local, a, b = t.station("L"), t.station("A"), t.station("B")
    first, second, _ = t.peers
    made = "by default" if chosen is None else "the ageing argument"

    def early(since: float) -> str:
        return (
            f"A frame from A came {since:g} s ago, but a frame to A went to {{got}}: it was forgotten too soon. An entry "
            f"lives for {life:g} s here ({made}), and every frame from A restarts its timer."
        )

    t.into(vtep, t.frame(a, local), first)
    t.wait(life - 1, vtep)
    t.out(vtep, t.frame(local, a), [first], early(life - 1))
    t.into(vtep, t.frame(a, local), first)
    t.wait(life - 1, vtep)
    t.out(vtep, t.frame(local, a), [first], early(life - 1))
    t.into(vtep, t.frame(b, local), second)
    t.wait(2, vtep)
    t.out(
        vtep,
        t.frame(local, a),
        t.peers,
        f"A has been silent for {life + 1:g} s, but a frame to it still went to {{got}}. An entry lives for {life:g} s here "
        f"({made}), by the only clock there is, `now`; frames to A do not keep it alive, and frames from B neither.",
    )
    t.out(vtep, t.frame(local, b), [second], "B spoke 2 s ago, and was forgotten together with A: it went to {got}.")


@STEP.check(
    "dropped",
    "what is no packet for us, or from nobody we know, is dropped and counted, and teaches nothing",
    1,
    "Whatever arrives and is carried nowhere counts one in dropped(); nothing from the wire raises, or is learned from.",
    "VX-14",
    "VX-22",
    "VX-23",
    "PK-12",
)
def dropped(t: VxlanTrial) -> None:
    vtep = t.vtep(peers=3)
    local, a = t.station("L"), t.station("A")
    peer = t.peers[0]
    t.count(vtep, 0, "nothing has happened yet")
    t.into(vtep, t.frame(a, local), peer)
    t.out(vtep, t.frame(local, a), [peer])
    t.count(vtep, 0, "both were carried")
    x = t.station("X, of which we hear in bad packets only")
    plain = Tunnel(t.vni, peer, t.address, t.port, t.frame(x, local, t.random.randbytes(40)))
    for what, packet, why in bad(t, plain):
        t.refused(vtep, packet, f"a packet with {what}", why)
    stranger = t.others[8]
    why = f"{stranger} is no peer, and add() has not named it: anybody could send such packets. Drop them."
    t.refused(vtep, plain.but(source=stranger).packet(), f"a packet from {stranger}, a stranger", why)
    t.refused(vtep, t.random.randbytes(60), "60 random bytes", "Such a thing is no packet.")
    lesson = (
        "A packet that was dropped taught where X is: a frame to X went to {got}. Learn only from what you deliver."
    )
    t.out(vtep, t.frame(local, x), t.peers, lesson)
    before = t.dropped(vtep)
    for size in (0, 6, 13):
        cut = t.frame(local, a)[:size]
        t.out(vtep, cut, [], f"A frame of {size} bytes is no Ethernet frame, but was sent to {{got}}.")
        before += 1
        t.count(vtep, before, f"a frame of {size} bytes arrives on the {OVERLAY}")
    t.into(vtep, t.frame(x, local), peer)
    t.out(vtep, t.frame(local, x), [peer])
    t.count(vtep, before, "both were carried, after all that")
    lonely = t.vtep(peers=0)
    t.out(lonely, t.frame(local, a), [])
    t.count(lonely, 1, "a frame that had nowhere to go")
