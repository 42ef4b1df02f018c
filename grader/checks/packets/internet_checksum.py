"""Step 4: the Internet checksum. RFC 1071, and its update by RFC 1624."""

from collections.abc import Callable
from typing import Any

from grader.check import Step
from grader.checks.packets.trial import PacketsTrial
from podpath.packets import checksum as right_checksum

STEP = Step("Step 4: the checksum")


@STEP.check(
    "checksum",
    "the Internet checksum of any bytes",
    2,
    "Add the 16-bit big-endian words, add what is carried out at the top back in at the bottom until nothing is, and "
    "invert all bits. An odd last byte counts as if a zero byte followed.",
    "RT-22",
    "RT-23",
    "RT-29",
    "PK-03",
)
def checksum(t: PacketsTrial) -> None:
    cases = [
        (bytes.fromhex("0001f203f4f5f6f7"), "the example of RFC 1071, section 3"),
        (bytes.fromhex("450000730000400040110000c0a80001c0a800c7"), "an IPv4 header, its checksum not filled in yet"),
        (b"\x12\x34", "a single word"),
        (b"", "no bytes at all"),
        (b"\xff\xff\xff\xff\x00\x01", "words whose sum needs the carry added back twice"),
        (b"\xff" * 60, "sixty bytes of ff"),
        (bytes([t.random.randrange(1, 255)]), "a single byte"),
        (b"\x01\x02\x03", "three bytes"),
    ]
    for data, what in cases:
        _sum(t, data, f"{what}, {data.hex()}" if 0 < len(data) < 25 else what)
    for length in (20, 21, 24, 1479, 1480):
        _sum(t, t.random.randbytes(length), f"{length} random bytes")
    header = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")
    _sum(t, header, "an IPv4 header with its checksum in it (the result is 0: so one verifies)")


def _sum(t: PacketsTrial, data: bytes, what: str) -> None:
    right = right_checksum(data)
    t.gives("checksum", data, expected=right, what=f"checksum of {what}", why=_sum_habit(data, right))


def _sum_habit(data: bytes, right: int) -> Callable[[Any], str]:
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    left_padded = data if len(data) % 2 == 0 else data[:-1] + b"\0" + data[-1:]
    even = data[: len(data) // 2 * 2]

    def habit(got: Any) -> str:
        if got > 0xFFFF or got < 0:
            return (
                "A checksum has 16 bits. Add the carry, what is above them, back in until none is left; then invert the 16 "
                "bits (~x is negative in Python: ~x & 0xFFFF is not)."
            )
        known = {
            ~right & 0xFFFF: "That is the sum itself: the checksum is its complement, all bits inverted.",
            right >> 8 | (right & 255) << 8: "The two bytes are swapped: the words are big-endian ('!' in struct).",
            ~total & 0xFFFF: "The carry was lost: what is above 16 bits is added back in at the bottom.",
            ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF: (
                "The carry was added back once, which carried again. Add it back until none is left."
            ),
            right_checksum(left_padded): "The odd last byte is the high half of its word: the zero comes after it.",
            right_checksum(even): "The odd last byte was left out. It counts, as if a zero byte followed.",
        }
        return known.get(got, "")

    return habit


@STEP.check(
    "update",
    "a checksum is brought up to date from the word that changed",
    1,
    "RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), every ~ on 16 bits, and the sum with its carry added back in.",
    "RT-16",
    "PK-09",
)
def update(t: PacketsTrial) -> None:
    for _ in range(3):
        before, old = 0xFF00 | t.random.randrange(1, 255), t.random.randrange(2, 255) << 8 | 17
        rest = ((~before & 0xFFFF) - old) % 0xFFFF
        right = right_checksum(rest.to_bytes(2, "big") + (old - 256).to_bytes(2, "big"))
        _update(t, before, old, old - 256, right, "a TTL goes down by one")
    for _ in range(12):
        data = bytearray(t.ipv4().source.packed + t.random.randbytes(16))
        place = t.random.randrange(0, 20, 2)
        before, old = right_checksum(bytes(data)), int.from_bytes(data[place : place + 2], "big")
        # Half of them are as when a router takes one from the TTL, which is the upper half of its word.
        new = max(0, old - 256) if t.random.random() < 0.5 else t.number()
        data[place : place + 2] = new.to_bytes(2, "big")
        _update(t, before, old, new, right_checksum(bytes(data)), "a header")
    _update(t, 0xDD2F, 0x5555, 0x3285, 0x0000, "the example of RFC 1624, section 4")
    _corner(t)


def _corner(t: PacketsTrial) -> None:
    """A sum that becomes all ones: its checksum is 0, which the older formula of RFC 1141 makes ffff."""
    word, rest = t.number(), t.number()
    new = 0xFFFF - rest
    before = right_checksum(rest.to_bytes(2, "big") + word.to_bytes(2, "big"))
    _update(t, before, word, new, 0, "data whose words add up to ffff afterwards")


def _update(t: PacketsTrial, before: int, old: int, new: int, right: int, what: str) -> None:
    def habit(got: Any) -> str:
        if got > 0xFFFF or got < 0:
            return "A checksum has 16 bits: add the carry back in, and invert only 16 bits (~x & 0xFFFF)."
        if right == 0 and got == 0xFFFF:
            return (
                "This is the one case in which the older formula (RFC 1141: HC + m + ~m') is wrong. Invert HC, add, invert "
                "the sum: RFC 1624, equation 3."
            )
        total = (~before & 0xFFFF) + (~old & 0xFFFF) + new
        known = {
            _folded((~before & 0xFFFF) + (~new & 0xFFFF) + old): "You took the old word for the new one.",
            ~total & 0xFFFF: "The carry was lost: what is above 16 bits is added back in at the bottom.",
            (before - new + old)
            & 0xFFFF: "Sums of 16 bits carry around: what leaves at the top comes back at the bottom.",
            before: "It is the old checksum.",
        }
        return known.get(got, "")

    t.gives(
        "update_checksum",
        before,
        old,
        new,
        expected=right,
        what=f"{what}: checksum {before:04x}, and its word {old:04x} becomes {new:04x}",
        why=habit,
    )


def _folded(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
