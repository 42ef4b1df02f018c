"""A small cluster on Mininet hosts: nodes, pods, the fabric between the nodes, and a host on the internet."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from podpath import kubeproxy, netns, probe, routing, sandbox, topology
from podpath.configuration import Interface, Route, Service
from podpath.host import Host
from podpath.topology import HostPlan, Network


class ClusterError(RuntimeError):
    """The cluster cannot be made, or does not do what was asked in time; the text says why."""


class Detachable(Protocol):
    """Something that runs on the cluster's interfaces and must leave them before they go."""

    def detach(self) -> None: ...


class Cluster:
    """Hosts and cables that are up when the constructor returns, and gone after `close()`.

    `nodes` is their number, `pods` how many each has, or their names (for several nodes: a list of lists).
    `network` says who plays each layer: "kernel", "nobody", "learner", or a mapping such as
    `{"bridge": "learner", "routes": "kernel"}` (see `topology.players`). `prefix` starts the name of every host, so
    that several clusters fit into one sandbox.

    As a context manager it closes itself. In a notebook, `cluster = Cluster(...)` is enough: running the cell again
    closes the old one of the same prefix first, and the sandbox takes everything along when the kernel ends.

    >>> with Cluster(nodes=1, pods=3) as cluster:                                           # doctest: +SKIP
    ...     cluster.reachability().all
    True
    """

    _open: dict[str, "Cluster"] = {}  # noqa: RUF012  # by prefix: what is up in this process

    def __init__(
        self,
        nodes: int = 1,
        pods: int | Sequence[str] | Sequence[Sequence[str]] = 3,
        network: Network = "kernel",
        prefix: str = "",
    ) -> None:
        if not sandbox.inside():
            raise ClusterError(
                "a cluster needs a sandbox. In a notebook choose the kernel 'podpath' (top right in JupyterLab); "
                "in a terminal run: ./lab python YOUR-SCRIPT.py"
            )
        self.plan = topology.plan(nodes, pods, network, prefix)
        self.prefix = prefix
        if prefix in Cluster._open:
            Cluster._open[prefix].close()
        for name in self.plan.hosts:
            if any(name in other.hosts for other in Cluster.running()):
                raise ClusterError(
                    f"another cluster that is up has a host {name!r}: close it, or choose another prefix"
                )
        Cluster._open[prefix] = self
        self.hosts: dict[str, Host] = {}
        self._children: list[subprocess.Popen[bytes]] = []
        self._attached: list[Detachable] = []
        self.hosts = {name: Host(name) for name in self.plan.hosts}
        try:
            self._wire()
            self._configure()
        except BaseException:
            self.close()
            raise
        for end in (end for link in self.plan.links for end in (link.a, link.b)):
            self.hosts[end.host].add_interface(end.interface, end.mac, end.address)

    # -- looking at it

    def __getitem__(self, name: str) -> Host:
        """A host by its name; KeyError, with the names there are, if there is none."""
        if name not in self.hosts:
            raise KeyError(f"there is no host {name!r}; there are {', '.join(self.hosts)}")
        return self.hosts[name]

    def _having(self, role: str) -> list[Host]:
        return [self.hosts[name] for name, host in self.plan.hosts.items() if host.role == role]

    @property
    def pods(self) -> list[Host]:
        """The pods, node by node."""
        return self._having("pod")

    @property
    def nodes(self) -> list[Host]:
        """The nodes."""
        return self._having("node")

    @property
    def fabric(self) -> Host:
        """What connects the nodes with each other and with the internet."""
        return self._having("fabric")[0]

    @property
    def internet(self) -> Host:
        """A host far away, which knows the nodes' addresses and none of the pods'."""
        return self._having("internet")[0]

    def ports(self, node: Host) -> list[str]:
        """The interfaces of a node that its bridge connects; a pod's port is called `to` and the pod's name."""
        return list(self.plan.hosts[node.name].ports)

    def peers(self, node: Host, ports: Sequence[str]) -> list[tuple[Host, str]]:
        """What is at the other end of some ports of a node, or of its bridge's: host and interface."""
        found = []
        if topology.BRIDGE in ports:
            ports = [*ports, *self.plan.hosts[node.name].ports]
        for link in self.plan.links:
            for near, far in ((link.a, link.b), (link.b, link.a)):
                if near.host == node.name and near.interface in ports:
                    found.append((self.hosts[far.host], far.interface))
        return found

    def router_of(self, node: Host) -> tuple[dict[str, Interface], list[Route]]:
        """What a router on a node must be told: its interfaces by name, and its routes to what is further away."""
        return routing.configuration(self.plan, node.name)

    @classmethod
    def running(cls) -> list["Cluster"]:
        """The clusters that are up in this process."""
        return list(cls._open.values())

    def remember(self, attached: Detachable) -> None:
        """Have something detached when the cluster closes."""
        self._attached.append(attached)

    @property
    def attached(self) -> list[Detachable]:
        """What runs on the cluster's interfaces."""
        return list(self._attached)

    def forget(self, attached: Detachable) -> None:
        """It has been detached."""
        if attached in self._attached:
            self._attached.remove(attached)

    def __repr__(self) -> str:
        usual = {("overlay", "nobody"), ("services", "kernel")}
        who = {layer: player for layer, player in self.plan.players.items() if (layer, player) not in usual}
        layers = ", ".join(f"{layer}: {player}" for layer, player in who.items())
        return f"<Cluster of {len(self.nodes)} nodes and {len(self.pods)} pods; {layers}>"

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib, as it is now; the axes."""
        from podpath import draw

        return draw.topology(self, ax)

    # -- using it

    def ping(self, source: Host, destination: Host, deadline: float = 3.0) -> probe.Echo:
        """Ask until an answer comes or `deadline` seconds have passed; true if one came."""
        return probe.echo([(source, destination)], deadline)[0]

    def reachability(self, hosts: Sequence[Host] | None = None, deadline: float = 3.0) -> probe.Reachability:
        """Ask from each of `hosts` (the pods) to each other, each until it is answered, for `deadline` seconds."""
        hosts = self.pods if hosts is None else hosts
        return probe.Reachability([h.name for h in hosts], probe.echo(permutations(hosts, 2), deadline))

    def converge(self, deadline: float = 10.0) -> Self:
        """Wait until every pod reaches every pod; ClusterError, naming a pair, if that does not come to be."""
        reached = self.reachability(deadline=deadline)
        if reached.missing:
            source, destination = reached.missing[0]
            raise ClusterError(
                f"{len(reached.missing)} of {len(reached.echoes)} pairs of pods had no answer within {deadline:g} s; "
                f"{source} -> {destination}, for one"
            )
        return self

    def serve(self, host: Host, port: int = 80, text: str | None = None) -> None:
        """Start a web server that answers every request with `text` (the host's name) until the cluster closes.

        Its page /log has a line for each other request: the address and port it came from, and the path.
        """
        page = f"{host.name}\n" if text is None else text
        server = [sys.executable, "-I", "-S", str(Path(__file__).with_name("page.py")), str(port), page]
        child = subprocess.Popen(
            ["ip", "netns", "exec", host.name, *server],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # who interrupts a cell means the cell
        )
        self._children.append(child)
        assert child.stdout is not None
        if not child.stdout.readline():  # it says when it listens; an empty line means it ended instead
            raise ClusterError(f"no web server could be started on port {port} of {host.name}: is the port taken?")

    def curl(self, source: Host, url: str, deadline: float = 5.0) -> str:
        """Fetch `url` from a host, again and again until it comes; ClusterError with curl's own words if not."""
        until, said = time.monotonic() + deadline, ""
        while (left := until - time.monotonic()) > 0:
            patience = f"{max(left, 0.01):.3f}" if left < 1 else "1"  # to curl, 0 is for ever
            done = subprocess.run(
                ["ip", "netns", "exec", source.name, "curl", "-sS", "--max-time", patience, "--", url],
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                return done.stdout
            said = done.stderr.strip()
        raise ClusterError(f"{source.name} got nothing from {url} within {deadline:g} s ({said})")

    def services(self, services: Sequence[Service]) -> None:
        """From now on these are the Services there are, on every node where the kernel plays that layer."""
        for node in self.nodes:
            if (plan := self.plan.hosts[node.name]).services == "kernel":
                kubeproxy.sync(node, services, plan.ports if plan.bridge else [])

    # -- coming and going

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down: whatever is attached, every process in every host, then the hosts. Twice is fine."""
        if Cluster._open.get(self.prefix) is not self:
            return
        del Cluster._open[self.prefix]
        for attached in list(self._attached):
            attached.detach()
        for child in self._children:
            child.kill()
        for pid in netns.processes([host.netns for host in self.hosts.values()]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in self._children:
            child.communicate()
        for host in self.hosts.values():
            host.terminate()
        _ip_batch([], [f"netns del {name}" for name, host in self.hosts.items() if host.netns.exists()])

    def _wire(self) -> None:
        """All namespaces and all cables, in one run of `ip`."""
        lines = [f"netns add {name}" for name in self.plan.hosts]
        for link in self.plan.links:
            a, b = (
                f"name {end.interface} netns {end.host}" + (f" address {end.mac}" if end.mac else "")
                for end in (link.a, link.b)
            )
            lines.append(f"link add {a} type veth peer {b}")
        _ip_batch([], lines)

    def _configure(self) -> None:
        """Each host's settings, then its addresses and routes, all hosts at once; then the cables are plugged in."""
        running = []
        for name, host in self.plan.hosts.items():
            with netns.inside(self.hosts[name].netns):
                netns.write_sysctls(host.sysctls)
                running.append((host, _start(["ip", "-batch", "-"], "\n".join(host.ip))))
                if host.nft:
                    running.append((host, _start(["nft", "-f", "-"], host.nft)))
        for host, child in running:
            _finish(child, host)
        running = []
        for name, host in self.plan.hosts.items():
            if host.fdb:  # of devices that are there only now
                with netns.inside(self.hosts[name].netns):
                    running.append((host, _start(["bridge", "-batch", "-"], "\n".join(host.fdb))))
        for host, child in running:
            _finish(child, host)
        self._settle()

    def _settle(self) -> None:
        """Have every cable carry frames from now on, and then every bridge."""
        ends: dict[str, list[str]] = {name: [] for name in self.plan.hosts}
        for end in (end for link in self.plan.links for end in (link.a, link.b)):
            ends[end.host].append(end.interface)
        bridges = {name: [host.bridge] for name, host in self.plan.hosts.items() if host.bridge}
        for interfaces in (ends, bridges):
            for name, those in interfaces.items():
                with netns.inside(self.hosts[name].netns):
                    netns.settle(those)


def _start(argv: list[str], text: str) -> subprocess.Popen[str]:
    """Start a program that reads `text`, which is less than a pipe holds."""
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    child.stdin.write(text + "\n")
    child.stdin.close()
    child.stdin = None
    return child


def _finish(child: subprocess.Popen[str], host: HostPlan) -> None:
    _, said = child.communicate()
    if child.returncode:
        raise ClusterError(f"{host.name} could not be set up: {said.strip()}")


def _ip_batch(options: list[str], lines: list[str]) -> None:
    done = subprocess.run(
        ["ip", *options, "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True
    )
    if done.returncode:
        raise ClusterError(f"ip could not make the cluster's links: {done.stderr.strip()}")
