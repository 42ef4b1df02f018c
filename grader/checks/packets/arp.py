"""Step 2: the ARP packet. RFC 826."""

import struct

from grader.check import Step
from grader.checks.packets.trial import PacketsTrial
from grader.checks.packets.wire import ARP, arp_packet
from grader.checks.packets.words import count

STEP = Step("Step 2: ARP")


@STEP.check(
    "parse-arp",
    "an ARP packet is read, whatever stands behind it",
    1,
    "28 bytes: !HHBBH, then sha (6), spa (4), tha (6), tpa (4). What follows is padding, and is ignored.",
    "RT-49",
    "PK-01",
)
def parse_arp(t: PacketsTrial) -> None:
    for operation, what in ((1, "a question"), (2, "an answer")):
        for _ in range(2):
            header = t.arp(operation)
            t.parses("parse_arp", arp_packet(header), expected=header, what=what)
    for padding in (bytes(18), t.random.randbytes(18), b"\x01"):
        header = t.arp(1)
        what = f"a question with {count(len(padding))} of padding behind it (Ethernet pads short frames)"
        t.parses("parse_arp", arp_packet(header) + padding, expected=header, what=what)


@STEP.check(
    "bad-arp",
    "what is no ARP packet for IPv4 over Ethernet is refused",
    1,
    "Hardware type 1, protocol type 0x0800, lengths 6 and 4, at least 28 bytes. Anything else is None, never an exception.",
    "RT-47",
    "PK-12",
)
def bad_arp(t: PacketsTrial) -> None:
    header = t.arp(t.random.choice((1, 2)))
    sound = arp_packet(header)
    t.parses("parse_arp", sound, expected=header, what="a sound packet")
    wrong = [
        (6, 0x0800, 6, 4, "hardware type 6 (another kind of network)"),
        (0x0100, 0x0800, 6, 4, "hardware type 0x0100 (1 in the wrong byte order)"),
        (1, 0x86DD, 6, 4, "protocol type 0x86dd (IPv6)"),
        (1, 0x0008, 6, 4, "protocol type 0x0008 (0x0800 in the wrong byte order)"),
        (1, 0x0800, 8, 4, "hardware addresses of 8 bytes"),
        (1, 0x0800, 6, 16, "protocol addresses of 16 bytes"),
        (1, 0x0800, 4, 6, "hardware addresses of 4 bytes and protocol addresses of 6"),
        (1, 0x0800, 0, 0, "addresses of 0 bytes"),
    ]
    t.random.shuffle(wrong)
    for hardware, protocol, first, second, what in wrong:
        packet = struct.pack("!HHBB", hardware, protocol, first, second) + sound[6:] + bytes(18)
        why = "Its addresses are not where, or not what, you read: look at the types and the lengths first."
        t.refuses("parse_arp", packet, what=f"an ARP packet with {what}", why=why)
    for length in (27, 24, 8, 7, 1, 0):
        why = "A whole one has 28 bytes."
        t.refuses("parse_arp", sound[:length], what=f"an ARP packet cut short, of {count(length)}", why=why)


@STEP.check(
    "build-arp",
    "an ARP packet is written",
    1,
    "Hardware type 1, protocol type 0x0800, lengths 6 and 4, the operation, then sha, spa, tha, tpa: 28 bytes.",
    "RT-38",
    "PK-01",
)
def build_arp(t: PacketsTrial) -> None:
    for operation, what in ((1, "a question"), (2, "an answer"), (2, "another answer")):
        header = t.arp(operation)
        t.builds("build_arp", header, expected=arp_packet(header), layout=ARP, what=what)
