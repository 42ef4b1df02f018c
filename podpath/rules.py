"""The packet filter's rules of a host, with their counters, as iptables-save and nft print them."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from podpath import netns
from podpath.host import Host

_SAVED = re.compile(r"\[(\d+):(\d+)\] -A (\S+) ?(.*)")
_COUNTER = re.compile(r"\s*counter packets (\d+) bytes (\d+)")


@dataclass(frozen=True)
class Rule:
    """One rule. `jump` is the chain that it goes on in, "" if in none. `packets` is None where nobody counts."""

    chain: str
    text: str
    jump: str = ""
    packets: int | None = None
    bytes: int | None = None


def iptables(host: Host, table: str = "nat") -> list[Rule]:
    """The rules of a host's iptables table, in the order in which they are tried; each chain by itself."""
    return parse_iptables(_printed(host, ["iptables-save", "-c", "-t", table]))


def nftables(host: Host) -> list[Rule]:
    """The rules of a host's nftables; where iptables keeps its rules there, they are among them."""
    return parse_nftables(_printed(host, ["nft", "list", "ruleset"]))


def _printed(host: Host, argv: Sequence[str]) -> str:
    try:
        with netns.inside(host.netns):
            done = subprocess.run(argv, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{argv[0]} is not installed on this machine") from None
    if done.returncode:
        raise RuntimeError(f"{argv[0]} cannot read the rules of {host.name}: {done.stderr.strip()}")
    return done.stdout


def parse_iptables(text: str) -> list[Rule]:
    """The rules in what `iptables-save -c` prints."""
    chains = set(re.findall(r"^:(\S+)", text, re.MULTILINE))
    found = []
    for line in text.splitlines():
        saved = _SAVED.match(line)
        if saved:
            packets, size, chain, rule = saved.groups()
            jump = re.search(r"-[jg] (\S+)", rule)
            target = jump[1] if jump and jump[1] in chains else ""
            found.append(Rule(chain, rule, target, int(packets), int(size)))
    return found


def parse_nftables(text: str) -> list[Rule]:
    """The rules in what `nft list ruleset` prints. A chain is called by its table and its own name."""
    found, table, chain = [], "", ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("table "):
            table = line.split()[2]
        elif line.startswith("chain "):
            chain = line.split()[1]
        elif line.startswith("}"):
            chain = ""
        elif chain and line and not line.startswith(("type ", "policy ")):
            counter = _COUNTER.search(line)
            jump = re.search(r"(?:jump|goto) (\S+)", line)
            packets, size = (int(counter[1]), int(counter[2])) if counter else (None, None)
            target = f"{table} {jump[1]}" if jump else ""
            found.append(Rule(f"{table} {chain}", _COUNTER.sub("", line).strip(), target, packets, size))
    return found
