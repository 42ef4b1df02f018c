"""A node, its pods and a host outside, in a sandbox of their own, where rules that strangers wrote are tried on the kernel.

Run as a program: it reads an order from stdin as JSON, and writes on stdout what came of it. What follows in an order:

    text        the rules, already vetted
    node, gateway, outside, pods    addresses: the node's own, the node's towards its pods, a host's outside, the pods'
    servers     [protocol, address, port] of all who listen
    before      [who, protocol, address, port]: connections to try before there are rules; `who` is "node", "outside" or a
                pod's address
    asks        the same, with the rules
    variants    whether each kind of iptables is to load the rules, twice

Each pod hangs on a cable of its own and has routes only (no bridge), so that every packet crosses the node's rules.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from podpath import netns

VARIANTS = ("iptables-nft", "iptables-legacy")
SECONDS = 10.0  # what a program may take
_WAIT = 1.0  # seconds until what has not come is taken for lost
_KIND = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
_EMPTY = "*nat\nCOMMIT\n*filter\nCOMMIT\n"
_FAR = "198.51.100.1"  # where the node sends what it does not know; whatever arrives there is taken, and says so
_ANY = "0.0.0.0"
_QUESTION, _ANSWER = b"who are you?", b"it is me"

Fact = dict[str, Any]


def _where(name: str) -> Path:
    return Path("/run/netns", name)


def _restore(program: str, text: str) -> tuple[int, str]:
    done = subprocess.run([f"{program}-restore"], input=text, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, done.stderr


def _save(program: str) -> str:
    return subprocess.run([f"{program}-save"], capture_output=True, text=True, timeout=SECONDS).stdout


def variants(text: str) -> Fact:
    """What each kind of iptables that this kernel has makes of the text, the first time and the second."""
    told: Fact = {}
    for program in VARIANTS:
        if shutil.which(f"{program}-restore") is None:
            continue
        subprocess.run(["ip", "netns", "add", program], check=True)
        with netns.inside(_where(program)):
            if _restore(program, _EMPTY)[0]:
                continue  # the kernel has only the other kind
            code, said = _restore(program, text)
            once = _save(program)
            again, said_again = _restore(program, text)
            told[program] = {"code": code or again, "said": said or said_again, "once": once, "twice": _save(program)}
    return told


class Machine:
    """The hosts of an order, and the servers that listen there."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.names = {address: f"pod{number}" for number, address in enumerate(order["pods"])}
        self.names |= {"node": "node", "outside": "outside", _FAR: "far"}
        self.listening: dict[socket.socket, tuple[str, str, int]] = {}
        self._wire()
        for protocol, address, port in order["servers"]:
            opened = self._socket(address, protocol)
            opened.bind((address, port))
            self._listen(opened, (protocol, address, port))
        for protocol, port in {(protocol, port) for _, protocol, _, port in (*order["before"], *order["asks"])}:
            opened = self._socket(_FAR, protocol)
            opened.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)  # it answers as whoever was asked
            opened.bind((_ANY, port))
            self._listen(opened, (protocol, "far", port))

    def _listen(self, opened: socket.socket, about: tuple[str, str, int]) -> None:
        if about[0] == "TCP":
            opened.listen(64)
        self.listening[opened] = about

    def _wire(self) -> None:
        order, gateway = self.order, self.order["gateway"]
        lines = [f"netns add {name}" for name in self.names.values()]
        for name in self.names.values():
            if name != "node":
                lines.append(f"link add name eth0 netns {name} type veth peer name {name} netns node")
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        at_node = ["link set lo up", f"addr add {order['node']}/32 dev lo"]
        for address, name in self.names.items():
            if name == "node":
                continue
            own = order["outside"] if name == "outside" else address
            near = order["node"] if name == "outside" else gateway
            at_node += [
                f"link set {name} up",
                f"addr add {near}/32 dev {name}",
                f"route add {own} dev {name} src {order['node']}",
            ]
            there = ["link set lo up", f"addr add {own}/32 dev eth0", "link set eth0 up"]
            there += [f"route add {near} dev eth0", f"route add default via {near}"]
            self._in(name, there)
        self._in("node", [*at_node, f"route add default via {_FAR}"])  # whatever it does not know
        self._in("far", ["rule add iif eth0 table 100", f"route add local {_ANY}/0 dev lo table 100"])
        others = [name for name in self.names.values() if name != "node"]
        for name, cables in [("node", others), *((name, ["eth0"]) for name in others)]:
            with netns.inside(_where(name)):
                netns.settle(cables)  # or their first packets might be lost

    @staticmethod
    def _in(name: str, lines: list[str]) -> None:
        with netns.inside(_where(name)):
            netns.write_sysctls({"ipv6/conf/all/disable_ipv6": 1, "ipv4/ip_forward": int(name == "node")})
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)

    def _socket(self, who: str, protocol: str) -> socket.socket:
        with netns.inside(_where(self.names[who])):
            opened = socket.socket(socket.AF_INET, _KIND[protocol])
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return opened

    def load(self, text: str) -> Fact:
        with netns.inside(_where("node")):
            code, said = _restore("iptables", text)
            return {"code": code, "said": said, "saved": _save("iptables")}

    def ask(self, who: str, protocol: str, address: str, port: int) -> Fact:
        """A new connection: who answered and as whom it saw the asker; or in which way it failed.

        "left alone" is what nobody translated or refused: the node sent it on, to where it sends all that it does not know.
        """
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._socket(who, protocol))
            client.bind((self.order.get(who, who), 0))
            try:
                return self._asked(stack, client, protocol, (address, port))
            except ConnectionRefusedError:
                return {"failed": "refused"}
            except TimeoutError:
                return {"failed": "nothing"}
            except OSError as error:
                return {"failed": error.strerror or "it failed"}

    def _asked(self, stack: contextlib.ExitStack, client: socket.socket, protocol: str, to: tuple[str, int]) -> Fact:
        with contextlib.suppress(BlockingIOError):
            client.connect(to)
        if protocol == "TCP":
            self._until(client, [], write=True)
        client.send(_QUESTION)
        server = self._until(client, [one for one, about in self.listening.items() if about[0] == protocol])
        if server is client:
            client.recv(100)  # an error, which this raises
            return {"failed": "an answer before anybody was asked"}
        _, address, port = self.listening[server]
        if protocol == "TCP":
            accepted, seen = server.accept()
            accepted = stack.enter_context(accepted)
            accepted.send(_ANSWER)
        else:
            _, seen = server.recvfrom(100)
            if address != "far":  # whose answer would not come from the address that was asked
                server.sendto(_ANSWER, seen)
        if address == "far":
            return {"failed": "left alone"}
        self._until(client, [])
        if client.recv(100) != _ANSWER:
            return {"failed": "another answer"}
        return {"endpoint": [address, port], "seen": seen[0]}

    @staticmethod
    def _until(client: socket.socket, servers: list[socket.socket], write: bool = False) -> socket.socket:
        """Wait until one can be read, or the client written to; raises what has befallen the client."""
        poll = select.poll()
        by_number = {one.fileno(): one for one in (client, *servers)}
        for number in by_number:
            poll.register(number, select.POLLOUT if write else select.POLLIN)
        ready = poll.poll(_WAIT * 1000)
        if not ready:
            raise TimeoutError
        failed = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
        return by_number[ready[0][0]]

    def close(self) -> None:
        for one in self.listening:
            one.close()


def main() -> None:
    order = json.load(sys.stdin)
    told: Fact = {"variants": variants(order["text"])} if order["variants"] else {}
    machine = Machine(order)
    with contextlib.closing(machine):
        told["before"] = [machine.ask(*ask) for ask in order["before"]]
        told["load"] = machine.load(order["text"])
        if told["load"]["code"] == 0:
            told["asks"] = [machine.ask(*ask) for ask in order["asks"]]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
