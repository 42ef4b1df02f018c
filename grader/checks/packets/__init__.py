"""Lab 00, packets: the facts of the lab.

The rules are those of RFC 791 (IPv4), 768 (UDP), 826 (ARP), 1071 and 1624 (the checksum); the identifiers that a check
cites are rows of the conformance cases (RT-22, NAT-05) and of the usual mistakes (PK-01).
"""

from grader.check import Lab
from grader.checks.packets import arp, ethernet, internet_checksum, ipv4, live, responder, udp
from grader.checks.packets.trial import PacketsTrial

LAB = Lab(
    number="00",
    name="packets",
    class_name="ArpResponder",
    trial=PacketsTrial,
    steps=(ethernet.STEP, arp.STEP, responder.STEP, internet_checksum.STEP, ipv4.STEP, udp.STEP, live.STEP),
)
