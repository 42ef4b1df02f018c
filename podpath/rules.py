"""The packet filter's rules of a host, with their counters, as iptables-save and nft print them."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from podpath import netns
from podpath.host import Host

_SAVED = re.compile(r"\[(\d+):(\d+)\] -A (\S+) ?(.*)")
_JUMP = re.compile(r"\b(?:jump|goto) ([\w./-]+)")
_COUNTER = re.compile(r"\s*counter packets (\d+) bytes (\d+)")


@dataclass(frozen=True)
class Rule:
    """One rule. `jumps` are the chains in which it may go on. `packets` is None where nobody counts."""

    chain: str
    text: str
    jumps: tuple[str, ...] = ()
    packets: int | None = None
    bytes: int | None = None


def iptables(host: Host, table: str = "nat") -> list[Rule]:
    """The rules of a host's iptables table, in the order in which they are tried; each chain by itself."""
    return parse_iptables(_printed(host, ["iptables-save", "-c", "-t", table]))


def nftables(host: Host, table: str = "") -> list[Rule]:
    """The rules of a host's nftables, or of one table; where iptables keeps its rules there, they are among them."""
    found = parse_nftables(_printed(host, ["nft", "list", "ruleset"]))
    return [rule for rule in found if not table or rule.chain.split()[0] == table]


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
            jumps = (jump[1],) if jump and jump[1] in chains else ()
            found.append(Rule(chain, rule, jumps, int(packets), int(size)))
    return found


def parse_nftables(text: str) -> list[Rule]:
    """The rules in what `nft list ruleset` prints. A chain is called by its table and its own name."""
    found: list[Rule] = []
    table, chain, verdicts = "", "", _verdict_maps(text)
    for line in map(str.strip, text.splitlines()):
        if line.startswith("table "):
            table = line.split()[2]
        elif line.startswith("chain "):
            chain = line.split()[1]
        elif line.startswith("}"):
            chain = ""
        elif chain and line and not line.startswith(("type ", "policy ")):
            counter, named = _COUNTER.search(line), re.search(r"vmap @(\S+)", line)
            targets = _JUMP.findall(line) + (verdicts.get((table, named[1]), []) if named else [])
            packets, size = (int(counter[1]), int(counter[2])) if counter else (None, None)
            jumps = tuple(f"{table} {target}" for target in dict.fromkeys(targets))
            found.append(Rule(f"{table} {chain}", _COUNTER.sub("", line).strip(), jumps, packets, size))
    return found


def _verdict_maps(text: str) -> dict[tuple[str, str], list[str]]:
    """By table and name, the chains that the elements of a map lead to."""
    found: dict[tuple[str, str], list[str]] = {}
    table, name = "", ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("table "):
            table = line.split()[2]
        elif line.startswith(("map ", "chain ")):
            kind, name = line.split()[:2]
            name = name if kind == "map" else ""
        elif name:
            found.setdefault((table, name), []).extend(_JUMP.findall(line))
    return found
