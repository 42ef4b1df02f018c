"""Step 6: the UDP header. RFC 768, and RFC 1122, 4.1.3.4."""

from ipaddress import IPv4Address

from grader.check import Step
from grader.checks.packets.trial import Habit, PacketsTrial
from grader.checks.packets.wire import UDP_HEADER, pseudo_header, udp_datagram
from grader.checks.packets.words import count
from podpath.headers import Udp
from podpath.packets import checksum

STEP = Step("Step 6: UDP")

_PSEUDO = "The checksum also covers the pseudo-header: source, destination, a zero byte, protocol 17, the UDP length."


@STEP.check(
    "parse-udp",
    "a datagram is read; a checksum of 0 means that there is none",
    1,
    "Source port, destination port, length, checksum; the payload ends at the length. A checksum of 0 was not computed "
    "and cannot be wrong.",
    "RT-21",
    "RT-29",
    "RT-30",
    "NAT-03",
    "PK-07",
)
def parse_udp(t: PacketsTrial) -> None:
    literal = bytes.fromhex("c3500035000da463") + b"query"
    ends = IPv4Address("10.244.1.5"), IPv4Address("203.0.113.9")
    t.parses("parse_udp", literal, *ends, expected=(Udp(50000, 53), b"query"), what="a datagram to port 53")
    for length in (0, 1, 4, 31):
        header, payload, source, destination = _some(t, length)
        data = udp_datagram(header, payload, source, destination)
        what = f"a datagram with {count(length)} in it"
        t.parses("parse_udp", data, source, destination, expected=(header, payload), what=what)
        data = udp_datagram(header, payload, source, destination, check=0)
        what = f"a datagram with {count(length)} in it, without a checksum (0)"
        t.parses("parse_udp", data, source, destination, expected=(header, payload), what=what)
    header, payload, source, destination = _all_ones(t)
    data = udp_datagram(header, payload, source, destination)
    what = "a datagram whose checksum is ffff: 0 was computed, and ffff is sent for it"
    t.parses("parse_udp", data, source, destination, expected=(header, payload), what=what)
    header, payload, source, destination = _some(t, 10)
    data = udp_datagram(header, payload, source, destination) + t.random.randbytes(6)
    what = "a datagram whose length is 18, and 6 bytes behind it"
    cut = f"The length, 18, counts header and payload; the {6} bytes behind it are not the datagram's. Cut them off."

    def why(got: bytes) -> str:
        return cut if len(got) > len(payload) else ""

    t.parses("parse_udp", data, source, destination, expected=(header, payload), what=what, why=why)


def _some(t: PacketsTrial, length: int) -> tuple[Udp, bytes, IPv4Address, IPv4Address]:
    return t.udp(), t.random.randbytes(length), t.address(), t.address()


def _all_ones(t: PacketsTrial) -> tuple[Udp, bytes, IPv4Address, IPv4Address]:
    """A datagram of which the sum is all ones, so that 0 is computed for its checksum."""
    header, payload, source, destination = _some(t, 6)
    without = pseudo_header(source, destination, 16)
    rest = without + header.source_port.to_bytes(2, "big") + header.destination_port.to_bytes(2, "big") + b"\0\x10"
    return header, payload + checksum(rest + payload).to_bytes(2, "big"), source, destination


@STEP.check(
    "bad-udp",
    "a datagram that contradicts itself is refused",
    1,
    "At least 8 bytes, a length of at least 8 and within the data, and a sum over pseudo-header and datagram that is right. "
    "Anything else is None, never an exception.",
    "PK-05",
    "PK-12",
)
def bad_udp(t: PacketsTrial) -> None:
    header, payload, source, destination = _some(t, 15)
    sound = udp_datagram(header, payload, source, destination)
    t.parses("parse_udp", sound, source, destination, expected=(header, payload), what="a sound datagram")
    for length in (7, 6, 4, 1, 0):
        what = f"the first {count(length)} of a datagram"
        t.refuses("parse_udp", sound[:length], source, destination, what=what, why="A UDP header has 8 bytes.")
    for length in (7, 1, 0, 24, 1000, 65535):
        for check in (None, 0):
            data = udp_datagram(header, payload, source, destination, length, check)
            what = f"{count(len(data))} of a datagram whose length is {length}"
            why = "The length counts header and payload: it is 8 at least, and no more than there is."
            t.refuses("parse_udp", data, source, destination, what=what, why=why)
    for which, ends in (
        ("destination", (source, _other(t, destination))),
        ("source", (_other(t, source), destination)),
    ):
        what = f"a datagram with another {which} address than the one it was sent with"
        t.refuses("parse_udp", sound, *ends, what=what, why=_PSEUDO)
    for place in t.random.sample([*range(32), *range(64, len(sound) * 8)], 60):
        broken = bytearray(sound)
        broken[place // 8] ^= 0x80 >> place % 8
        what = f"a datagram of which bit {place % 8} of byte {place // 8} was flipped on the way"
        why = (
            "The sum over pseudo-header and datagram, with the checksum in it, must be all ones: checksum(...) is 0."
        )
        t.refuses("parse_udp", bytes(broken), source, destination, what=what, why=why, tell=False)
    t.transcript.say("parse_udp: 60 of the datagram's bits flipped, one at a time, so None")


def _other(t: PacketsTrial, address: IPv4Address) -> IPv4Address:
    """Another address, which a checksum can tell from this one."""
    while True:
        found = t.address()
        if checksum(found.packed) != checksum(address.packed):
            return found


@STEP.check(
    "build-udp",
    "a datagram is written, with the checksum that the receiver expects",
    1,
    "Length is 8 and the payload. The checksum is over pseudo-header, header and payload, its own field 0 meanwhile; if it "
    "comes out as 0, ffff is sent, for 0 means none.",
    "RT-29",
    "RT-30",
    "NAT-03",
    "NAT-05",
    "PK-05",
)
def build_udp(t: PacketsTrial) -> None:
    header, payload, source, destination = _some(t, 12)
    for ends, what in (
        ((source, destination), "12 bytes of payload"),
        ((source, t.address()), "the same, to another address"),
        ((t.address(), destination), "the same, from another address"),
    ):
        _build(t, header, payload, *ends, what)
    for length in (0, 1, 33):
        _build(t, *_some(t, length), f"{count(length)} of payload")
    _build(t, *_all_ones(t), "a datagram for whose checksum 0 is computed")


def _build(
    t: PacketsTrial, header: Udp, payload: bytes, source: IPv4Address, destination: IPv4Address, what: str
) -> None:
    right = udp_datagram(header, payload, source, destination)
    why = _checksum_habit(right, source, destination)
    t.builds("build_udp", header, payload, source, destination, expected=right, layout=UDP_HEADER, what=what, why=why)


def _checksum_habit(right: bytes, source: IPv4Address, destination: IPv4Address) -> Habit:
    """What was done to the checksum, where nothing else is wrong."""
    pseudo = pseudo_header(source, destination, len(right))
    empty = right[:6] + b"\0\0" + right[8:]

    def habit(got: bytes) -> str:
        if got[:6] + got[8:] != right[:6] + right[8:]:
            return ""
        there = int.from_bytes(got[6:8], "big")
        if there == 0 and right[6:8] == b"\xff\xff":
            return "The checksum came out as 0 and was sent as 0, which means that there is none. Send ffff for it."
        known = {
            0: "The checksum is 0: it was never filled in.",
            checksum(empty): _PSEUDO,
            checksum(pseudo[:8] + pseudo[10:] + empty): "The pseudo-header has the protocol, 17, in it.",
            checksum(pseudo[:10] + empty): "The pseudo-header has the UDP length in it, once more.",
            checksum(pseudo + empty[:8]): "The checksum covers the payload, too.",
            int.from_bytes(right[6:8], "little"): "The two bytes of the checksum are swapped.",
            ~int.from_bytes(right[6:8], "big") & 0xFFFF: "That is the sum: the checksum is its complement.",
        }
        return known.get(there, "")

    return habit
