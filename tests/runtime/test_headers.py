"""The headers that learners are given: their fields, and that they cross between the checks and the learner's code."""

import dataclasses
import json
from ipaddress import IPv4Address

import pytest

from podpath import headers
from podpath.values import decode, encode

A, B = IPv4Address("10.244.1.2"), IPv4Address("10.244.1.3")
HEADERS = [
    headers.Ethernet(b"\xff" * 6, bytes(6), 0x0806),
    headers.Arp(1, bytes(6), A, bytes(6), B),
    headers.Ipv4(0, 1, 2, 0, 64, 17, A, B, b"\x01\x01\x01\x00"),
    headers.Udp(4000, 53),
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: type(header).__name__)
def test_a_header_crosses_as_json_and_is_the_same(header: object) -> None:
    sent = json.loads(json.dumps(encode((header, b"payload"))))
    assert decode(sent) == (header, b"payload")
    assert type(decode(encode(header))) is type(header)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: type(header).__name__)
def test_a_header_cannot_be_changed(header: object) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        header.source = bytes(6)  # type: ignore[attr-defined]


def test_the_fields_stand_in_the_order_of_the_rfcs() -> None:
    names = {type(one).__name__: [field.name for field in dataclasses.fields(one)] for one in HEADERS}
    assert names == {
        "Ethernet": ["destination", "source", "ethertype"],
        "Arp": ["operation", "sha", "spa", "tha", "tpa"],
        "Ipv4": [
            *("tos", "identification", "flags", "fragment_offset", "ttl", "protocol"),
            *("source", "destination", "options"),
        ],
        "Udp": ["source_port", "destination_port"],
    }


def test_a_header_without_options_says_so_by_default() -> None:
    assert headers.Ipv4(0, 1, 2, 0, 64, 17, A, B).options == b""
