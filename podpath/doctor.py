"""What this machine can do for the labs, by trying it.

Programs are looked up, kernel features are tried in a sandbox: a module that cannot be loaded there cannot be used in
a lab either. `python -m podpath.doctor` in a sandbox prints what works there, as JSON.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from podpath import sandbox

_TRIES = {  # what is tried in the sandbox: commands that succeed where the feature is there
    "veth": ["ip", "link", "add", "t0", "type", "veth", "peer", "name", "t1"],
    "bridge": ["ip", "link", "add", "t2", "type", "bridge"],
    "netns": ["ip", "netns", "add", "doctor"],
    "nat": ["nft", "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }"],
    "vxlan": ["ip", "link", "add", "t3", "type", "vxlan", "id", "1", "dstport", "4789"],
    "geneve": ["ip", "link", "add", "t4", "type", "geneve", "id", "1", "remote", "192.0.2.1"],
    "wireguard": ["ip", "link", "add", "t5", "type", "wireguard"],
    "netem": ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
    "ip_vs": [sys.executable, "-m", "podpath.ipvs"],
}

_MODULES = {"nat": "nf_tables", "netem": "sch_netem"}  # where the module is called otherwise


@dataclass(frozen=True)
class Finding:
    """One thing looked for: whether it is there, which labs want it, and what to do if it is not."""

    name: str
    purpose: str
    labs: tuple[str, ...]  # numbers; "*" for all
    present: bool
    remedy: str

    @property
    def needed(self) -> bool:
        """Whether no lab works without it."""
        return "*" in self.labs


def _package(name: str) -> str:
    return f"sudo apt-get install --no-install-recommends {name}"


_PROGRAMS = (  # program, package, purpose, labs
    ("mnexec", "mininet", "runs each host of a lab in a network of its own", ("*",)),
    ("bwrap", "bubblewrap", "the jail in which submitted code is graded", ("*",)),
    ("ip", "iproute2", "makes links, addresses and routes", ("*",)),
    ("nft", "nftables", "the kernel's packet filter and address translation", ("*",)),
    ("ping", "iputils-ping", "asks: are you there?", ("*",)),
    ("curl", "curl", "fetches pages from pods", ("*",)),
    ("brctl", "bridge-utils", "stock Mininet's bridge, for ./lab bench only", ()),
    ("iptables", "iptables", "kube-proxy's rules", ("07", "09", "10")),
    ("bird", "bird2", "a BGP speaker to talk to", ("05",)),
    ("dig", "bind9-dnsutils", "asks name servers", ("08",)),
)
_FEATURES = (  # try, purpose, labs
    ("veth", "virtual cables", ("*",)),
    ("bridge", "the kernel's bridge", ("*",)),
    ("netns", "named network namespaces", ("*",)),
    ("nat", "address translation", ("*",)),
    ("vxlan", "the kernel's VXLAN device", ("04",)),
    ("geneve", "the kernel's Geneve device", ("04",)),
    ("wireguard", "encrypted tunnels", ("04",)),
    ("netem", "delay and loss on purpose", ("14", "17")),
    ("ip_vs", "the kernel's load balancer", ("07",)),
)


def examine() -> list[Finding]:
    """Look for everything."""
    found = [
        Finding(program, purpose, labs, shutil.which(program) is not None, _package(package))
        for program, package, purpose, labs in _PROGRAMS
    ]
    try:
        code, output = sandbox.run([sys.executable, "-m", "podpath.doctor"])
        works, refusal = (json.loads(output) if code == 0 else {}), "the sandbox itself failed, see above"
    except sandbox.NoSandbox as error:
        works, refusal = {}, str(error)
    found.append(Finding("sandbox", "namespaces of our own, without root", ("*",), bool(works), refusal))
    for name, purpose, labs in _FEATURES:
        module = _MODULES.get(name, name)
        remedy = f"sudo modprobe {module}; if there is no such module, this kernel was built without it"
        found.append(Finding(name, purpose, labs, bool(works.get(name)), remedy))
    return found


def prove(nodes: int = 2, pods: int = 2) -> str:
    """Bring a cluster up in a sandbox, see every pod reach every pod, and say so in a line. Raises RuntimeError."""
    began = time.monotonic()
    program = f"from podpath import Cluster; print(len(Cluster({nodes}, {pods}).converge().pods))"
    code, output = sandbox.run([sys.executable, "-c", program], timeout=60)
    if code or output.strip() != str(nodes * pods).encode():
        raise RuntimeError("a cluster did not come up in a sandbox; why is said above. ./lab doctor may know more")
    took = time.monotonic() - began
    return f"it works here: {nodes} nodes, {nodes * pods} pods, every pod reaches every pod ({took:.1f} s)"


def _try_everything() -> dict[str, bool]:
    works = {}
    for name, argv in _TRIES.items():
        try:
            works[name] = subprocess.run(argv, capture_output=True).returncode == 0
        except FileNotFoundError:
            works[name] = False
    return works


if __name__ == "__main__":
    print(json.dumps(_try_everything()))
