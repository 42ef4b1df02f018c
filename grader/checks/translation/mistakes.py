"""What is said of a packet that came out wrong: which part of it, and the usual mistake behind that. Pure."""

import struct

from grader.checks.translation.parts import NAMES, Part, differing
from podpath.datapath import Frames
from podpath.packets import TCP, UDP, checksum, describe, hexdump

OTHER = {"inside": "outside", "outside": "inside", "pod": "network", "network": "pod"}


def shown(frame: bytes) -> str:
    """A frame in words, without its MAC addresses, which say little here."""
    if len(frame) < 14:
        return describe(frame)
    return describe(frame).split(", ", 1)[1]


def went(sent: Frames) -> str:
    """Where frames went."""
    if not sent:
        return "dropped"
    return "; ".join(f"out of {port}: {shown(frame)}" for port, frame in sent[:3]) + ("; ..." if sent[3:] else "")


def explained(arrived: bytes, wanted: Frames, sent: Frames) -> str:
    """One or two sentences on how what was sent is not what was wanted, of which there is one frame, or none."""
    if not wanted:
        return f"This had to be dropped, and was sent {went(sent)}."
    ((port, frame),) = wanted
    if not sent:
        return f"It was dropped. It had to leave by {port}.{_long_header(arrived)}"
    if len(sent) > 1:
        return f"{len(sent)} frames were sent where one was to be: {went(sent)}."
    ((other, got),) = sent
    if other != port:
        return f"It was sent out of {other}, and had to leave by {port}."
    return _changed(arrived, frame, got)


def marked(wanted: bytes, got: bytes) -> str:
    """A hex dump of what was sent, with the bytes marked that are not as wanted."""
    places = [i for i, byte in enumerate(got) if i >= len(wanted) or byte != wanted[i]]
    return hexdump(got[:112], places)


def _changed(arrived: bytes, wanted: bytes, got: bytes) -> str:
    wrong = differing(wanted, got)
    causes = [
        pair for pair in wrong if not pair[0].name.endswith("checksum")
    ] or wrong  # checksums follow from the rest
    said = "; ".join(f"the {a.name} is {b.text} and must be {a.text}" for a, b in causes[:4] if a.name != "payload")
    if len(causes) > 4:
        said += "; and more"
    if len(wanted) != len(got):
        return f"The frame has {len(got)} bytes and must have {len(wanted)}: nothing is cut off and nothing added."
    if got == arrived:
        return f"It was sent on unchanged: {said}."
    names = {a.name for a, _ in wrong}
    habit = _habit(names, arrived, wanted, got, wrong)
    return (said[:1].upper() + said[1:] + "." if said else "The payload was changed.") + (
        f" {habit}" if habit else ""
    )


def _habit(names: set[str], arrived: bytes, wanted: bytes, got: bytes, wrong: list[tuple[Part, Part]]) -> str:
    """The mistake that usually makes a packet look like this."""
    if wanted == arrived:
        return "This packet is not yours to change."
    if names & {"destination MAC", "source MAC"}:
        if wanted[:12] == arrived[6:12] + arrived[:6]:
            return "What turns round goes back to its sender: swap its two MAC addresses."
        return "A bump in the wire changes no MAC address."
    if "IPv4 TTL" in names:
        return "A bump in the wire is no hop: it takes nothing off the TTL."
    if names & {"source address", "destination address", "source port", "destination port", "IPv4 options"}:
        return _long_header(arrived).strip()
    if names == {"payload"} and wanted[20:22] != b"\x40\0" and struct.unpack_from("!H", wanted, 20)[0] & 0x1FFF:
        return "A later fragment has no ports: what stands where they would be is data."
    for part, other in sorted(wrong, key=lambda pair: not pair[0].name.startswith("quoted")):
        if part.name.endswith("checksum"):
            return _checksum(part, other, arrived, wanted)
    return ""


def _long_header(arrived: bytes) -> str:
    """What is easily overlooked of some packets."""
    size = (arrived[14] & 15) * 4
    return f" Its IPv4 header has {size} bytes, not 20: the ports are behind it." if size > 20 else ""


def _checksum(part: Part, other: Part, arrived: bytes, wanted: bytes) -> str:
    is_now, must_be = (bytes.fromhex(one.text[2:]) for one in (other, part))
    before = arrived[part.start : part.end] == is_now
    if is_now == must_be[::-1]:
        return "The two bytes are swapped: on the wire the greater one comes first."
    if 0 < abs(int.from_bytes(is_now, "big") - int.from_bytes(must_be, "big")) < 4:
        return "A carry was lost: what is above 16 bits is added again at the low end."
    if part.name == "IPv4 header checksum":
        return "The address changed and the header checksum did not follow." if before else ""
    if part.name.startswith("quoted IPv4"):
        return "The quoted packet has a header of its own, with a checksum of its own."
    if part.text == "0x0000" and part.name.endswith("UDP checksum"):
        return "A UDP checksum of 0 means that the sender has computed none. Leave it 0."
    if part.text == "0xffff" and other.text == "0x0000":
        return "A UDP checksum that comes out as 0 is sent as ffff: 0 would say that there is none."
    if part.name == "ICMP checksum":
        return "The ICMP checksum covers all of the ICMP message (the identifier; of an error, what it quotes)."
    if part.name.startswith("quoted"):
        return "The checksum of the quoted packet covers the addresses and ports that you have just put back."
    if before:
        return "The checksums of TCP and UDP cover the addresses as well (the pseudo-header), not only the ports."
    if _anew(wanted) == other.text:
        return (
            "You have computed the checksum anew. The packet was damaged, and now nobody can tell: mend a checksum by "
            "the difference only (RFC 1624)."
        )
    return f"It covers the addresses and the ports; {other.text} does not fit both."


def _anew(frame: bytes) -> str:
    """The transport checksum of a frame as it would be if computed from scratch; of TCP and UDP only."""
    size, protocol = (frame[14] & 15) * 4, frame[23]
    if protocol not in NAMES or protocol not in (TCP, UDP):
        return ""
    body = frame[14 + size : 14 + struct.unpack_from("!H", frame, 16)[0]]
    at = 16 if protocol == TCP else 6
    pseudo = frame[26:34] + struct.pack("!BBH", 0, protocol, len(body))
    return f"0x{checksum(pseudo + body[:at] + bytes(2) + body[at + 2 :]) or 0xFFFF:04x}"
