"""Step 5: the IPv4 header. RFC 791, 3.1, and RFC 1122, 3.2.1."""

import dataclasses
from ipaddress import IPv4Address

from grader.check import Step
from grader.checks.packets.trial import Habit, PacketsTrial
from grader.checks.packets.wire import IPV4, ipv4_packet
from grader.checks.packets.words import count
from podpath.headers import Ipv4
from podpath.packets import UDP, checksum

STEP = Step("Step 5: IPv4")


@STEP.check(
    "parse-ipv4",
    "every field of an IPv4 header is read",
    1,
    "RFC 791, 3.1: !BBHHHBBH and two addresses. Flags are the upper 3 bits of their word, the fragment offset the other "
    "13, as they stand.",
    "RT-21",
    "RT-30",
    "PK-01",
)
def parse_ipv4(t: PacketsTrial) -> None:
    data = bytes.fromhex("4500002112340000401154780a01000a0a020014") + b"13 bytes here"
    known = Ipv4(0, 0x1234, 0, 0, 64, UDP, IPv4Address("10.1.0.10"), IPv4Address("10.2.0.20"))
    t.parses("parse_ipv4", data, expected=(known, b"13 bytes here"), what="a packet without options")
    for flags, what in ((0, "no flag set"), (2, "don't fragment"), (1, "more fragments")):
        header, payload = dataclasses.replace(t.ipv4(), flags=flags), t.payload()
        t.parses("parse_ipv4", ipv4_packet(header, payload), expected=(header, payload), what=f"a packet, {what}")
    header = t.ipv4()
    what = "a header with nothing behind it"
    t.parses("parse_ipv4", ipv4_packet(header, b""), expected=(header, b""), what=what)


@STEP.check(
    "ipv4-payload",
    "the payload begins after the options, and ends at the total length",
    1,
    "The header has IHL * 4 bytes: 20, and then the options. Total length counts header and payload; what is behind it is "
    "Ethernet padding.",
    "RT-27",
    "RT-28",
    "PK-10",
    "PK-11",
)
def ipv4_payload(t: PacketsTrial) -> None:
    for options in (0, 4, 40, t.random.randrange(8, 40, 4)):
        header, payload = t.ipv4(options=options), t.payload()
        packet = ipv4_packet(header, payload)
        what = f"a packet whose IHL is {packet[0] & 15}: {count(options)} of options"
        t.parses("parse_ipv4", packet, expected=(header, payload), what=what, why=_payload_habit(packet, payload))
    for options, padding in ((0, t.random.randbytes(40)), (0, bytes(18)), (8, t.random.randbytes(9))):
        header, payload = t.ipv4(options=options), t.payload()
        packet = ipv4_packet(header, payload) + padding
        what = f"a packet of {len(packet) - len(padding)} bytes, and {len(padding)} of padding behind it"
        t.parses("parse_ipv4", packet, expected=(header, payload), what=what, why=_payload_habit(packet, payload))
    header = t.ipv4()
    packet = ipv4_packet(header, b"") + bytes(26)
    what = "an empty packet, and 26 bytes of padding behind it"
    t.parses("parse_ipv4", packet, expected=(header, b""), what=what, why=_payload_habit(packet, b""))


def _payload_habit(packet: bytes, payload: bytes) -> Habit:
    size, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")

    def habit(got: bytes) -> str:
        if size > 20 and got and got in (packet[20:total], packet[20:]):
            return f"This header is {size} bytes (IHL {size // 4}). The payload starts at IHL * 4, you read it at 20."
        if got == packet[size : size + total] != packet[size:]:
            return f"The total length, {total}, counts the header as well: the payload ends there, not {size} bytes later."
        if len(got) > len(payload) and packet[size:].startswith(got):
            return (
                f"The IP header says {total} bytes, and {len(packet)} were there: the rest is Ethernet padding. Cut at the "
                "total length."
            )
        return ""

    return habit


@STEP.check(
    "bad-ipv4",
    "a packet that contradicts itself is refused",
    1,
    "Version 4, IHL at least 5 and within the data, total length neither under the header nor beyond the data, and a "
    "header that sums up right. Anything else is None, never an exception.",
    "RT-25",
    "PK-12",
)
def bad_ipv4(t: PacketsTrial) -> None:
    header, payload = t.ipv4(), t.payload(26)
    sound = ipv4_packet(header, payload)
    t.parses("parse_ipv4", sound, expected=(header, payload), what="a sound packet")
    for length in (19, 13, 8, 2, 1, 0):
        why = "A header has 20 bytes at least."
        t.refuses("parse_ipv4", sound[:length], what=f"the first {count(length)} of a packet", why=why)
    _lying_lengths(t, header, payload)
    for version in (6, 5, 0):
        what = f"a packet of version {version}"
        t.refuses("parse_ipv4", ipv4_packet(header, payload, version), what=what, why="IPv4 is version 4.")
    for place in t.random.sample(range(160), 160):
        broken = bytearray(sound)
        broken[place // 8] ^= 0x80 >> place % 8
        if checksum(bytes(broken[: (broken[0] & 15) * 4])) == 0:
            continue  # another IHL, and the payload's first bytes happen to make up for it: nobody could tell
        what = f"a header of which bit {place % 8} of byte {place // 8} was flipped on the way"
        why = "The sum over the whole header, with the checksum in it, must be all ones: checksum(header) is 0."
        t.refuses("parse_ipv4", bytes(broken), what=what, why=why, tell=False)
    t.transcript.say("parse_ipv4: each of the header's 160 bits flipped, one at a time, so None")
    broken = bytearray(sound)
    broken[-1] ^= 1
    what = "a packet of which the last bit was flipped: the header's checksum does not cover the payload"
    t.parses("parse_ipv4", bytes(broken), expected=(header, bytes(broken[20:])), what=what)
    with_options = t.ipv4(options=8)
    broken = bytearray(ipv4_packet(with_options, payload))
    broken[t.random.randrange(20, 28)] ^= 0x10
    why = "The checksum covers the options, too: it is over IHL * 4 bytes."
    t.refuses("parse_ipv4", bytes(broken), what="a header of which one option was changed on the way", why=why)


def _lying_lengths(t: PacketsTrial, header: Ipv4, payload: bytes) -> None:
    """Lengths that cannot be, in headers whose checksum is right."""
    for ihl, covered in ((4, 20), (4, 16), (1, 20), (0, 20)):
        # The checksum is right for an IHL of 5, or for the one that it claims: only the IHL itself is wrong.
        what = f"a packet whose IHL is {ihl}"
        why = "A header has at least 5 words of 4 bytes; an IHL under 5 is a lie."
        t.refuses("parse_ipv4", _summing_up(ipv4_packet(header, payload, ihl=ihl), covered), what=what, why=why)
    for total in (19, 8, 0):
        what = f"a packet whose total length is {total}"
        why = "Total length counts the header, so it cannot be less than that."
        t.refuses("parse_ipv4", ipv4_packet(header, payload, total=total), what=what, why=why)
    with_options = t.ipv4(options=12)
    what = "a packet with a header of 32 bytes whose total length is 31"
    why = "Total length counts the whole header, with its options."
    t.refuses("parse_ipv4", ipv4_packet(with_options, payload, total=31), what=what, why=why)
    size = 20 + len(payload)
    for total in (size + 1, size + 100, 65535):
        what = f"{size} bytes of a packet whose total length is {total}"
        why = "The rest is missing: what is cut short on the way is of no use to anyone."
        t.refuses("parse_ipv4", ipv4_packet(header, payload, total=total), what=what, why=why)
    for size in (24, 60):
        short = ipv4_packet(header, b"", ihl=size // 4, total=size)
        what = f"a packet of 20 bytes whose IHL is {size // 4}"
        why = f"The header should have {size} bytes, and there are 20."
        t.refuses("parse_ipv4", short, what=what, why=why)


def _summing_up(packet: bytes, covered: int) -> bytes:
    """The packet with a checksum that is right for its first bytes."""
    zeroed = packet[:10] + b"\0\0" + packet[12:]
    return packet[:10] + checksum(zeroed[:covered]).to_bytes(2, "big") + packet[12:]


@STEP.check(
    "build-ipv4",
    "a header and a payload become a packet",
    1,
    "Version 4, IHL and total length follow from the options and the payload. The checksum is over the whole header, with "
    "its own field 0 meanwhile.",
    "RT-16",
    "RT-23",
    "RT-30",
)
def build_ipv4(t: PacketsTrial) -> None:
    sizes, all_flags = ((0, 0), (0, 13), (0, 300), (4, 20), (40, 7)), t.random.sample((0, 1, 2, 0, 2), 5)
    for (options, length), flags in zip(sizes, all_flags, strict=True):
        header, payload = dataclasses.replace(t.ipv4(options=options), flags=flags), t.payload(length)
        t.builds(
            "build_ipv4",
            header,
            payload,
            expected=ipv4_packet(header, payload),
            layout=(*IPV4, ("options", 20, 20 + options)),
            what=f"{count(options)} of options, {length} of payload",
            why=_checksum_habit(header, payload),
        )


def _checksum_habit(header: Ipv4, payload: bytes) -> Habit:
    """What was done to the checksum, where nothing else is wrong."""
    right = ipv4_packet(header, payload)

    def habit(got: bytes) -> str:
        if got[:10] + got[12:] != right[:10] + right[12:]:
            return ""
        there = int.from_bytes(got[10:12], "big")
        empty = right[:10] + b"\0\0" + right[12:]
        known = {
            0: "The header checksum is 0: it was never filled in.",
            checksum(empty): "The checksum covers the header only, not the payload.",
            checksum(empty[:20]): "The checksum covers the options, too: it is over the whole header.",
            int.from_bytes(right[10:12], "little"): "The two bytes of the checksum are swapped.",
            ~int.from_bytes(right[10:12], "big") & 0xFFFF: "That is the sum: the checksum is its complement.",
        }
        return known.get(there, "")

    return habit
