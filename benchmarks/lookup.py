"""How much longer the reference router of lab 03 looks for a route among 10,000 than among 10. Needs no sandbox."""

import random
import sys
import time
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from comparison import Comparison, Target
from reference import reference
from report import progress, write

from podpath.configuration import Interface, Route

FEW, MANY = 10, 10_000  # routes
ROUNDS = 15
LOOKUPS = 2000  # in a round, each of another address
LENGTHS = range(20, 30)  # of the prefixes, equally many of each


def router(make: Any, count: int, chance: random.Random) -> tuple[Any, list[IPv4Address]]:
    """A router with so many routes, and addresses that are in one of them each."""
    prefixes: set[IPv4Network] = set()
    while len(prefixes) < count:
        length = LENGTHS[len(prefixes) % len(LENGTHS)]
        prefixes.add(IPv4Network((0x0A000000 | chance.randrange(1 << 24), length), strict=False))
    link = Interface(b"\2\0\0\0\0\1", IPv4Interface("192.168.0.1/24"))
    made = make({"eth0": link}, [Route(prefix, "eth0", IPv4Address("192.168.0.254")) for prefix in prefixes])
    chosen = chance.choices(sorted(prefixes), k=LOOKUPS)
    return made, [prefix[chance.randrange(prefix.num_addresses)] for prefix in chosen]


def seconds(made: Any, addresses: list[IPv4Address]) -> float:
    """How long one lookup takes, on average."""
    lookup = made.lookup
    began = time.perf_counter()
    for address in addresses:
        lookup(address)
    return (time.perf_counter() - began) / len(addresses)


def main() -> None:
    chance, make = random.Random(3), reference("03")
    small, large = (router(make, count, chance) for count in (FEW, MANY))
    for each in (small, large):
        seconds(*each)
    few, many = [], []
    for number in range(ROUNDS):
        few.append(seconds(*small) * 1e6)
        many.append(seconds(*large) * 1e6)
        progress(f"lookup: round {number + 1} of {ROUNDS}")
    what = f"one lookup of the reference router of lab 03 among {MANY:,} routes"
    write([Comparison("lookup", what, f"among {FEW}", "us", many, few, Target(3.0))])


if __name__ == "__main__":
    sys.exit(main())
