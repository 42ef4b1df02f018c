"""Services for the kernel's own load balancer (IPVS), in the network namespace in which this is called.

As a program it tries whether that can be done here. It is done by the older interface of IPVS, socket options
(linux/ip_vs.h): the newer one, netlink, which ipvsadm takes, is closed to user namespaces before Linux 6.5.
"""

import socket
import struct
import sys
from ipaddress import IPv4Address
from pathlib import Path

from podpath.configuration import Endpoint, Service

_BASE = 64 + 1024 + 64  # IP_VS_BASE_CTL
_ADD, _ADD_ENDPOINT = _BASE + 2, _BASE + 7  # IP_VS_SO_SET_ADD, IP_VS_SO_SET_ADDDEST
_SERVICE = struct.Struct("=H2x4s2s2xI16sII4s")  # ip_vs_service_user: protocol, address, port, mark, scheduler, ...
_ENDPOINT = struct.Struct("=4s2s2xIiII")  # ip_vs_dest_user: address, port, how to forward, weight, thresholds
_ALL = b"\xff" * 4  # a netmask, for affinity, of which there is none
_MASQUERADE = 0  # IP_VS_CONN_F_MASQ
_PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}


def exists() -> bool:
    """Whether this kernel has IPVS, and has loaded it."""
    return Path("/proc/net/ip_vs").exists()


def add(services: list[Service], scheduler: str = "rr") -> None:
    """Add Services, with all their endpoints. Raises OSError where the kernel does not take one."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as control:
        for one in services:
            service = _SERVICE.pack(
                _PROTOCOLS[one.protocol], one.address.packed, one.port.to_bytes(2), 0, scheduler.encode(), 0, 0, _ALL
            )
            control.setsockopt(socket.SOL_IP, _ADD, service)
            for end in one.endpoints:
                endpoint = _ENDPOINT.pack(end.address.packed, end.port.to_bytes(2), _MASQUERADE, 1, 0, 0)
                control.setsockopt(socket.SOL_IP, _ADD_ENDPOINT, service + endpoint)


def main() -> None:
    """Add a Service; the exit status says whether it worked."""
    service, endpoint = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    try:
        add([Service("tried", service, 80, "TCP", (Endpoint(endpoint, 80),))])
    except OSError as error:
        sys.exit(f"IPVS: {error}")


if __name__ == "__main__":
    main()
