"""What a new connection to a Service costs, measured here and now, for as many Services as one likes.

Everything happens in this sandbox, in a network namespace or two of its own: a client connects to the last of the Services, and
gets a byte from the endpoint's server. The time until that byte is there is what is told, in seconds.
"""

import asyncio
import contextlib
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from podpath import ipvs, kubeproxy, netns, packets
from podpath.configuration import Endpoint, Node, Service

SIZES = (10, 100, 1000, 5000)
_CLIENT, _SERVER = "growth-a", "growth-b"
_NEAR, _FAR = "10.244.1.2", "10.244.2.2"
_PODS = IPv4Network("10.244.0.0/16")
_FIRST = IPv4Address("10.96.0.10")
_PORT, _PROXY = 8080, 8000
_SYN = 2
_DRAWS, _CALLS = 100, 200
_ELEMENTS = 500  # of a map, in one message

Curve = dict[float, list[float]]
Rules = Callable[[list[Service], Node], str]
Splice = Callable[[Any, Any], Awaitable[None]]


def services(count: int) -> list[Service]:
    """So many Services of one endpoint each, which is the same for all."""
    end = (Endpoint(IPv4Address(_FAR), _PORT),)
    return [Service(f"default/s{number}:http", _FIRST + number, 80, "TCP", end) for number in range(count)]


def of_iptables(rules: Rules, sizes: Sequence[int] = SIZES) -> Curve:
    """With rules of iptables, as `rules(services, node)` writes them.

    The older kind of iptables is taken where there is one: of the newer, a sandbox's kernel takes some hundred Services
    only, all of which have to fit into one message. Sizes that are not taken are left out; RuntimeError if none is.
    """
    node, found, said = Node("node", IPv4Address(_NEAR), _PODS), Curve(), ""
    for size in sizes:
        text = rules(services(size), node)
        with _two_hosts() as connect:
            for program in ("iptables-legacy-restore", "iptables-restore"):
                said = _fed([program], text) if shutil.which(program) else f"there is no {program}"
                if not said:
                    found[size] = connect(str(_FIRST + (size - 1)), 80)
                    break
    if not found:
        raise RuntimeError(f"the kernel takes none of these rules: {said}")
    return found


def of_nftables(sizes: Sequence[int] = SIZES) -> Curve:
    """With kube-proxy's maps of nftables (`podpath.kubeproxy`). All entries of the map lead to one chain: only looking them up is measured."""
    found = Curve()
    for size in sizes:
        *others, last = services(size)
        chain = kubeproxy.chain(last)
        with _two_hosts() as connect:
            told = [_fed(["nft", "-f", "-"], kubeproxy.nftables([last], _PODS))]
            for start in range(0, len(others), _ELEMENTS):
                keys = ", ".join(
                    f"{one.address} . tcp . 80 : goto {chain}" for one in others[start : start + _ELEMENTS]
                )
                told.append(_fed(["nft", "-f", "-"], f"add element ip {kubeproxy.TABLE} service-ips {{ {keys} }}\n"))
            if any(told):
                raise RuntimeError(f"the kernel does not take the maps of {size} Services: {''.join(told)}")
            found[size] = connect(str(last.address), 80)
    return found


def of_user_space(splice: Splice, sizes: Sequence[int] = SIZES) -> Curve:
    """By way of a proxy on the client's node, which accepts, connects to the endpoint and splices the two."""
    with _two_hosts() as connect, _proxy(splice):
        return {size: connect(_NEAR, _PROXY) for size in sizes}


def of_lookup(make: Callable[..., Any], sizes: Sequence[int] = SIZES) -> Curve:
    """What the first packet of a connection costs `make(services, rng)`, a datapath, on the bench: no network at all."""
    found = Curve()
    for size in sizes:
        proxy, last, times = make(services(size), random.Random(1)), _FIRST + (size - 1), []
        for port in range(20000, 20000 + _CALLS):
            segment = struct.pack("!HHIIBBHHH", port, 80, 1, 0, 5 << 4, _SYN, 65535, 0, 0)
            frame = packets.ethernet(
                bytes(6), bytes(6), packets.ETH_IPV4, packets.ipv4(IPv4Address(_NEAR), last, packets.TCP, segment)
            )
            start = time.perf_counter()
            proxy.receive("pod", frame, 1.0)
            times.append(time.perf_counter() - start)
        found[size] = _calm(times)
    return found


def missing() -> list[str]:
    """What of this would be worth measuring, and cannot be on this kernel, in words."""
    return [] if ipvs.exists() else ["IPVS: this kernel has none (module ip_vs)"]


def of_ipvs(sizes: Sequence[int] = SIZES) -> Curve:
    """With IPVS, where the kernel has it (see `missing`). The addresses of the Services are the client's own, as kube-proxy has it."""
    found = Curve()
    for size in sizes:
        with _two_hosts() as connect:
            addresses = "".join(f"addr add {one.address}/32 dev lo\n" for one in services(size))
            said = _fed(["ip", "-batch", "-"], addresses)
            if said:
                raise RuntimeError(f"the kernel does not take the addresses of {size} Services: {said}")
            with netns.inside(Path("/run/netns", _CLIENT)):
                ipvs.add(services(size))
            found[size] = connect(str(_FIRST + (size - 1)), 80)
    return found


def _calm(times: list[float]) -> list[float]:
    """The quickest tenth: what else the machine was doing meanwhile is not for this picture."""
    return sorted(times)[: max(1, len(times) // 10)]


def _fed(argv: list[str], text: str) -> str:
    """Have a program read `text`, in the client's namespace; "" if all went well, or what it said."""
    with netns.inside(Path("/run/netns", _CLIENT)):
        done = subprocess.run(argv, input=text, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip()[:300] or f"exit status {done.returncode}"


@contextlib.contextmanager
def _two_hosts() -> Iterator[Callable[[str, int], list[float]]]:
    """A client and a server, and how to connect: to an address and port, several times; how long each took."""
    lines = [f"netns add {_CLIENT}", f"netns add {_SERVER}"]
    lines.append(f"link add eth0 netns {_CLIENT} type veth peer name eth0 netns {_SERVER}")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    stack = contextlib.ExitStack()
    stack.callback(
        subprocess.run, ["ip", "-batch", "-"], input=f"netns del {_CLIENT}\nnetns del {_SERVER}\n", text=True
    )
    with stack:
        for name, own in ((_CLIENT, _NEAR), (_SERVER, _FAR)):
            with netns.inside(Path("/run/netns", name)):
                at = f"link set lo up\naddr add {own}/16 dev eth0\nlink set eth0 up\nroute add default dev eth0\n"
                subprocess.run(["ip", "-batch", "-"], input=at, text=True, check=True)
        stack.enter_context(_server())
        yield _connected


@contextlib.contextmanager
def _server() -> Iterator[None]:
    """Whoever connects gets a byte."""
    with netns.inside(Path("/run/netns", _SERVER)):
        listening = socket.create_server((_FAR, _PORT), backlog=256)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listening.accept()
                with accepted:
                    accepted.send(b"!")

    answering = threading.Thread(target=serve, daemon=True)
    answering.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        answering.join(1.0)
        listening.close()


def _connected(address: str, port: int) -> list[float]:
    times = []
    for _ in range(_DRAWS):
        with netns.inside(Path("/run/netns", _CLIENT)):
            client = socket.socket()
        with client:
            client.settimeout(3.0)
            start = time.perf_counter()
            client.connect((address, port))
            if client.recv(1) != b"!":
                raise RuntimeError(f"{address}:{port} does not answer as it should")
            times.append(time.perf_counter() - start)
    return _calm(times)


@contextlib.contextmanager
def _proxy(splice: Splice) -> Iterator[None]:
    """A proxy in user space on the client's host, in a thread and loop of its own. Raises what `splice` raises."""
    with netns.inside(Path("/run/netns", _CLIENT)):
        listening = socket.create_server((_NEAR, _PROXY), backlog=256)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    failed: list[Exception] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with netns.inside(Path("/run/netns", _CLIENT)):
            far = socket.socket()
        far.setblocking(False)
        await loop.sock_connect(far, (_FAR, _PORT))
        endpoint = await asyncio.open_connection(sock=far)
        try:
            await splice((reader, writer), endpoint)
        except Exception as error:  # the learner's
            failed.append(error)
            for one in (writer, endpoint[1]):
                one.close()

    async def serve() -> None:
        async with await asyncio.start_server(accepted, sock=listening) as server:
            ready.set()
            await server.serve_forever()

    serving = loop.create_task(serve())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(5.0)
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise (failed[0] if failed else error) from None
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(3.0)
