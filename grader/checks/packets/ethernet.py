"""Step 1: the Ethernet header. IEEE 802.3, 3.2."""

from grader.check import Step
from grader.checks.packets.trial import PacketsTrial
from grader.checks.packets.wire import ETHERNET, ethernet_frame
from grader.checks.packets.words import count
from podpath.headers import Ethernet
from podpath.packets import BROADCAST, mac

STEP = Step("Step 1: Ethernet")

_VECTOR = bytes.fromhex("020000000101 02000000000a 0800") + b"hello"


def _some(t: PacketsTrial) -> Ethernet:
    return Ethernet(t.mac(), t.mac(), t.random.randrange(0x0601, 0xFFFF) // 256 * 256 + t.random.randrange(1, 6))


@STEP.check(
    "parse-ethernet",
    "a frame is taken apart into its header and its payload",
    1,
    "Destination (6 bytes), source (6), EtherType (2, big-endian), then the payload. Under 14 bytes there is no header: "
    "return None, never an exception.",
    "RT-21",
    "PK-01",
    "PK-12",
)
def parse_ethernet(t: PacketsTrial) -> None:
    known = Ethernet(mac("02:00:00:00:01:01"), mac("02:00:00:00:00:0a"), 0x0800)
    t.parses("parse_ethernet", _VECTOR, expected=(known, b"hello"), what="an IPv4 frame")
    for length in (1, 46, 100):
        header, payload = _some(t), t.payload(length)
        frame = ethernet_frame(header, payload)
        t.parses("parse_ethernet", frame, expected=(header, payload), what=f"a frame with {count(length)} in it")
    header = Ethernet(BROADCAST, t.mac(), 0x0806)
    only = "a header and nothing behind it: 14 bytes are a whole header"
    t.parses("parse_ethernet", ethernet_frame(header, b""), expected=(header, b""), what=only)
    for length in (13, 12, 6, 1, 0):
        cut = _VECTOR[:length]
        why = "It has no whole header: a header has 14 bytes."
        t.refuses("parse_ethernet", cut, what=f"a frame of {count(length)}", why=why)


@STEP.check(
    "build-ethernet",
    "a header and a payload become a frame",
    1,
    "The three fields in this order, then the payload as it is. Nothing is added: who sends the frame pads it.",
    "RT-21",
    "PK-01",
)
def build_ethernet(t: PacketsTrial) -> None:
    for length in (0, 5, 46, 300):
        header, payload = _some(t), t.payload(length)
        right = ethernet_frame(header, payload)

        def why(got: bytes, right: bytes = right) -> str:
            added = got.startswith(right) and not any(got[len(right) :])
            return f"{len(got) - len(right)} zeros were added. Do not pad: the network card does." if added else ""

        what = f"a frame with {count(length)} in it"
        t.builds("build_ethernet", header, payload, expected=right, layout=ETHERNET, what=what, why=why)
