"""The text of rules that a learner's code wrote: what of it may be handed to a kernel, and what a kernel made of it. Pure.

iptables-restore runs as root in a sandbox, and can be told to load files and to start programs (`--modprobe`). So it is
only given lines whose every word is known.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from grader.check import Failed

LONGEST = 256 << 10  # characters
_OPTIONS = frozenset(
    [
        "-A",
        "-I",
        "-N",
        "-P",
        "-F",
        "-X",
        "-Z",
        "-s",
        "-d",
        "-p",
        "-m",
        "-j",
        "-g",
        "-i",
        "-o",
        "-f",
        "!",
        "--append",
        "--insert",
        "--new-chain",
        "--policy",
        "--flush",
        "--delete-chain",
        "--zero",
        "--source",
        "--src",
        "--destination",
        "--dst",
        "--protocol",
        "--proto",
        "--match",
        "--jump",
        "--goto",
        "--in-interface",
        "--out-interface",
        "--sport",
        "--source-port",
        "--dport",
        "--destination-port",
        "--syn",
        "--comment",
        "--mode",
        "--probability",
        "--every",
        "--packet",
        "--name",
        "--set",
        "--rcheck",
        "--update",
        "--remove",
        "--seconds",
        "--reap",
        "--hitcount",
        "--rsource",
        "--rdest",
        "--mask",
        "--mark",
        "--set-mark",
        "--or-mark",
        "--and-mark",
        "--xor-mark",
        "--set-xmark",
        "--to-destination",
        "--to-source",
        "--to-ports",
        "--random",
        "--random-fully",
        "--persistent",
        "--reject-with",
        "--ctstate",
        "--ctstatus",
        "--ctdir",
        "--state",
        "--dst-type",
        "--src-type",
        "--limit-iface-in",
        "--limit-iface-out",
    ]
)
_MATCHES = frozenset(["comment", "tcp", "udp", "statistic", "recent", "mark", "addrtype", "conntrack", "state"])
_PLAIN = re.compile(r"[A-Za-z0-9_.:/,+!-]*")
_WORD = re.compile(r'"([^"\\]*)"(?=\s|$)|([^\s"\'\\]+)(?=\s|$)')
_MATCH, _PROTOCOL = ("-m", "--match"), ("-p", "--protocol", "--proto")
_TARGET = ("-j", "--jump", "-g", "--goto")


def vetted(text: object) -> str:
    """The text, if it may be handed to iptables-restore; Failed, with the line that may not, otherwise."""
    if not isinstance(text, str):
        raise Failed(f"iptables_rules() returned {str(text)[:60]!r}; it must return text (a str).")
    if len(text) > LONGEST:
        raise Failed(f"iptables_rules() returned {len(text):,} characters, which is far too much for these Services.")
    declared: set[str] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        wrong = _wrong(line.strip(" \t"))
        if line[:1] == "*":
            declared.clear()
        if line[:1] == ":" and line.split()[0] in declared:
            wrong = "declares a chain that has been declared before. Have two of your chains the same name"
        declared.update(line.split()[:1])
        if wrong:
            raise Failed(
                f"Line {number} of your text, {line.strip()[:120]!r}, {wrong}{'?' if wrong[-4:] == 'name' else '.'}"
            )
    return text


def _wrong(line: str) -> str:
    """What is wrong with a line, or ""."""
    if not line.isascii() or not line.isprintable():
        return "holds characters other than plain ASCII"
    if not line or line[0] == "#" or line == "COMMIT":
        return ""
    if line[0] == "*":
        return (
            ""
            if line in ("*nat", "*filter", "*mangle")
            else "begins a table that these rules have nothing to do with"
        )
    if line[0] == ":":
        known = re.fullmatch(r":[\w.-]+ (-|ACCEPT|DROP)( \[\d+:\d+\])?", line)
        return "" if known else "is no declaration of a chain; one looks like `:NAME - [0:0]`"
    words = _words(re.sub(r"^\[\d+:\d+\] ", "", line))
    if not words:
        return 'is not made of words, each plain or in double quotes ("...")'
    if words[0] not in ("-A", "-I", "-N", "-P", "-F", "-X", "-Z", "--append", "--insert", "--new-chain", "--policy"):
        return "does not begin as a line for iptables-restore does: `*TABLE`, `:CHAIN`, `-A CHAIN ...` or `COMMIT`"
    return _unknown(words)


def _words(line: str) -> list[str]:
    """The words of a line, as iptables-restore would read them. Empty if that is not certain."""
    found, at = [], 0
    while at < len(line):
        word = _WORD.match(line, at)
        if not word:
            return []
        found.append(word[2] if word[1] is None else word[1])
        at = word.end()
        at += len(line[at:]) - len(line[at:].lstrip())
    return found


def _unknown(words: Sequence[str]) -> str:
    for before, word in zip(["", *words], words, strict=False):
        if before == "--comment" and word[:1] != "-":
            continue
        if word[:1] == "-" and word not in _OPTIONS:
            return f"has the option {word[:40]!r}, which kube-proxy has no use for here (write options out, with a space behind)"
        if before in _MATCH and word not in _MATCHES:
            return f"asks for the match {word[:40]!r}, which kube-proxy has no use for here"
        if before in _PROTOCOL and word.lower() not in ("tcp", "udp", "6", "17", "all"):
            return f"names the protocol {word[:40]!r}; there are tcp and udp"
        if before in _TARGET and not re.fullmatch(r"[\w-]+", word):  # iptables looks for a file of that name
            return f"leads to {word[:40]!r}, which is no name of a chain"
        if not _PLAIN.fullmatch(word):
            return f"holds {word[:40]!r}, which is no name, number or address"
    return ""


@dataclass(frozen=True)
class Rule:
    """A rule, as iptables-save prints it: options in its own spelling, with what follows them; "!" goes before a name."""

    chain: str
    options: tuple[tuple[str, str], ...]
    text: str

    def get(self, name: str) -> str:
        """What follows an option; "" if it is not there."""
        return next((value for option, value in self.options if option == name), "")

    def has(self, name: str) -> bool:
        return any(option == name for option, _ in self.options)

    @property
    def target(self) -> str:
        return self.get("-j") or self.get("-g")


class Rules:
    """All rules of a kernel, by table and chain, in the order in which they are tried."""

    def __init__(self, saved: str) -> None:
        self.tables: dict[str, dict[str, list[Rule]]] = {}
        chains: dict[str, list[Rule]] = {}
        for line in saved.splitlines():
            if line.startswith("*"):
                chains = self.tables.setdefault(line[1:], {})
            elif line.startswith(":"):
                chains[line[1:].split()[0]] = []
            elif line.startswith("-A "):
                rule = _rule(line)
                chains.setdefault(rule.chain, []).append(rule)

    def chain(self, name: str, table: str = "nat") -> list[Rule]:
        """The rules of a chain; none if there is no such chain."""
        return self.tables.get(table, {}).get(name, [])

    def names(self, beginning: str, table: str = "nat") -> set[str]:
        """The chains whose names begin so."""
        return {name for name in self.tables.get(table, {}) if name.startswith(beginning)}

    def reached(self, name: str, table: str = "nat") -> list[Rule]:
        """The rules of a chain and of all that it may lead to."""
        seen, todo, found = set(), [name], []
        while todo:
            chain = todo.pop()
            if chain not in seen:
                seen.add(chain)
                found += self.chain(chain, table)
                todo += [rule.target for rule in self.chain(chain, table) if rule.target]
        return found


def _rule(line: str) -> Rule:
    words, options = shlex.split(line)[2:], list[tuple[str, str]]()
    negated = ""
    for word in words:
        if word == "!":
            negated = "!"
        elif word.startswith("-") and not (options and options[-1] == ("--comment", "")):
            options.append((negated + word, ""))
            negated = ""
        elif options:
            name, value = options[-1]
            options[-1] = (name, f"{value} {word}".strip())
    return Rule(line.split()[1], tuple(options), line)


def plain(saved: str) -> list[str]:
    """What iptables-save printed, without its remarks and counters."""
    return [re.sub(r" \[\d+:\d+\]$", "", line) for line in saved.splitlines() if line[:1] not in ("#", "")]


def covers(network: str, address: str) -> bool:
    """Whether an address of a rule, with its prefix or without, is just this one."""
    return bool(network) and IPv4Network(network, strict=False) == IPv4Network(address)


def shares(rules: Iterable[Rule], chains: Sequence[str]) -> tuple[dict[str, float], float]:
    """What part of the connections goes from a chain to each of `chains`, and what part to none of them.

    Rules that only some packets match, such as those for affinity, are left out.
    """
    left, found = 1.0, dict.fromkeys(chains, 0.0)
    for rule in rules:
        if rule.target in found and not any(rule.has(name) for name in ("--rcheck", "--update", "-s", "!-s")):
            chance = float(rule.get("--probability")) if rule.has("--probability") else 1.0
            found[rule.target] += left * chance
            left -= left * chance
    return found, left
