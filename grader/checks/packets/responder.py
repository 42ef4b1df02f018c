"""Step 3: the responder. RFC 826, "Packet Reception", and RFC 5227."""

from ipaddress import IPv4Address

from grader.check import Handle, Step
from grader.checks.packets.trial import PacketsTrial
from grader.checks.packets.wire import arp_frame, arp_packet
from grader.checks.packets.words import count
from podpath.headers import Arp
from podpath.packets import BROADCAST, ETH_IPV4, ethernet

STEP = Step("Step 3: the ARP responder")

_NOBODY = IPv4Address("0.0.0.0")
_UNKNOWN = bytes(6)


def _ports(t: PacketsTrial) -> list[str]:
    return [f"{t.random.choice(['veth', 'lan', 'to', 'if-'])}{n}" for n in t.random.sample(range(100), 3)]


def _question(t: PacketsTrial, address: IPv4Address, spa: IPv4Address | None = None) -> Arp:
    return Arp(1, t.mac(), t.address() if spa is None else spa, _UNKNOWN, address)


def _answer(question: Arp, mac: bytes) -> bytes:
    return arp_frame(question.sha, Arp(2, mac, question.tpa, question.sha, question.spa))


@STEP.check(
    "answer",
    "a question for its address is answered, to the one who asked",
    1,
    "To a request for your address send one reply: you are its sender, who asked its target, in Ethernet as in ARP. It "
    "leaves by the port of the question.",
    "RT-38",
    "RT-49",
)
def answer(t: PacketsTrial) -> None:
    ports, mac, address = _ports(t), t.mac(), t.address()
    responder = t.responder(ports, mac, address)
    for what in ("A asks everyone for it", "B asks everyone for it", "C asks everyone for it"):
        one = _question(t, address)
        t.answers(responder, t.random.choice(ports), arp_frame(BROADCAST, one), [_answer(one, mac)], what)
        again = f"{what[0]} asks again"
        why = "Who has asked before may ask again: every question is answered."
        t.answers(responder, t.random.choice(ports), arp_frame(BROADCAST, one), [_answer(one, mac)], again, why)
    one = _question(t, address)
    why = "Linux asks the station itself when it only wants to know whether it is still there."
    t.answers(responder, ports[0], arp_frame(mac, one), [_answer(one, mac)], "D asks it alone, not everyone", why)
    one = _question(t, address)
    padded = arp_frame(BROADCAST, one) + t.random.choice((bytes(18), t.random.randbytes(18)))
    why = "The frame was padded to 60 bytes; what follows the ARP packet is ignored."
    t.answers(responder, ports[1], padded, [_answer(one, mac)], "E asks, in a frame padded to 60 bytes", why)
    _unusual(t, ports[2], mac, address)


def _unusual(t: PacketsTrial, port: str, mac: bytes, address: IPv4Address) -> None:
    """Questions that only look strange, to a second responder."""
    other_mac, other = t.mac(), t.address()
    responder = t.responder([port], other_mac, other)
    one = _question(t, other)
    t.answers(responder, port, arp_frame(BROADCAST, one), [_answer(one, other_mac)], "F asks the second responder")
    why = "This address is the first responder's. What a responder knows belongs into self, in __init__."
    t.is_silent(responder, port, arp_frame(BROADCAST, _question(t, address)), "F asks for the first one's", why)
    one = _question(t, other, _NOBODY)
    why = "The asker has no address yet (0.0.0.0): it asks whether this one is free (RFC 5227). Answer as always."
    t.answers(responder, port, arp_frame(BROADCAST, one), [_answer(one, other_mac)], "G asks, from 0.0.0.0", why)
    one, relay = _question(t, other), t.mac()
    right = _answer(one, other_mac)
    by_relay = relay + right[6:]  # RFC 826 sends it to sha; to where the frame came from is not wrong either
    why = "Who asks is in the ARP packet (sha, spa), whatever the source of the frame is."
    question = arp_frame(BROADCAST, one, source=relay)
    t.answers(responder, port, question, [right, by_relay], "H asks, through a station that relays it", why)


@STEP.check(
    "silence",
    "what is no question for its address is not answered",
    1,
    "Answer operation 1, for your own address, in a frame to everyone or to your MAC address. Nothing else.",
    "RT-33",
    "RT-39",
    "RT-44",
    "RT-46",
)
def silence(t: PacketsTrial) -> None:
    ports, mac, address = _ports(t), t.mac(), t.address()
    responder = t.responder(ports, mac, address)
    here = t.random.choice(ports)
    _still_answers(t, here, responder, mac, address)
    near = IPv4Address(int(address) ^ 1)
    for other in (t.address(), near, IPv4Address(address.packed[::-1]), IPv4Address("255.255.255.255")):
        if other == address:
            continue
        why = f"It is {address}. Who answers for others takes their packets away from them."
        t.is_silent(responder, here, arp_frame(BROADCAST, _question(t, other)), f"a question for {other}", why)
    sender = Arp(1, t.mac(), address, _UNKNOWN, t.address())
    why = f"{address} is the sender's here (spa); the address that is asked for is the target's (tpa)."
    t.is_silent(responder, here, arp_frame(BROADCAST, sender), f"a question from {address}, for another address", why)
    own = t.address()
    greeting = Arp(1, t.mac(), own, _UNKNOWN, own)
    why = "It asks for its own address, to make itself known (gratuitous ARP). Nobody answers that."
    t.is_silent(responder, here, arp_frame(BROADCAST, greeting), "a greeting", why)
    for operation in (2, 0, 3, 8, 256):
        said = Arp(operation, t.mac(), t.address(), mac, address)
        why = "Only operation 1 is a question. Two that answer each other's answers never stop."
        frame = arp_frame(t.random.choice((mac, BROADCAST)), said)
        t.is_silent(responder, here, frame, f"an ARP packet with operation {operation}", why)
    stranger = t.mac()
    why = f"The frame was to {stranger.hex(':')}, another station: a hub, or a bridge that floods, brings you such."
    frame = arp_frame(stranger, _question(t, address))
    t.is_silent(responder, here, frame, "a question in a frame to another MAC address", why)
    _still_answers(t, here, responder, mac, address)


def _still_answers(t: PacketsTrial, port: str, responder: Handle, mac: bytes, address: IPv4Address) -> None:
    one = _question(t, address)
    t.answers(responder, port, arp_frame(BROADCAST, one), [_answer(one, mac)], "a question for its address")


@STEP.check(
    "garbage",
    "whatever arrives, it drops what is not ARP and goes on",
    1,
    "Everything that parse_ethernet or parse_arp refuses, and every frame of another EtherType, is dropped: return [].",
    "RT-47",
    "PK-12",
)
def garbage(t: PacketsTrial) -> None:
    (port, *_), mac, address = _ports(t), t.mac(), t.address()
    responder = t.responder([port], mac, address)
    _still_answers(t, port, responder, mac, address)
    whole = arp_frame(BROADCAST, _question(t, address))
    for length in (41, 34, 20, 14, 13, 5, 0):
        why = "An ARP frame has at least 42 bytes: 14 of Ethernet, 28 of ARP."
        t.is_silent(responder, port, whole[:length], f"the first {count(length)} of a question", why)
    for ethertype in (ETH_IPV4, 0x0608, 0x88B5):
        frame = ethernet(BROADCAST, whole[6:12], ethertype, arp_packet(_question(t, address)))
        why = "What is in a frame, its EtherType says: ARP is 0x0806. Other payloads may look like it by chance."
        t.is_silent(responder, port, frame, f"a frame of type 0x{ethertype:04x} with the bytes of a question", why)
    for place, value, what in ((14, 6, "hardware type"), (16, 0x86, "protocol type"), (18, 8, "length of addresses")):
        broken = bytearray(whole)
        broken[place] = value
        why = "parse_arp refuses it, and None is no question."
        t.is_silent(responder, port, bytes(broken), f"a question with a wrong {what}", why)
    for _ in range(50):
        frame = t.random.choice((mac, BROADCAST)) + t.random.randbytes(t.random.randrange(60))
        t.is_silent(responder, port, frame, f"{count(len(frame))} by chance", "They mean nothing.", tell=False)
    t.transcript.say("50 frames of bytes by chance: nothing is sent")
    _still_answers(t, port, responder, mac, address)
