"""Step 1 of the router: the longest prefix that contains an address. RFC 1812, 5.2.4.3."""

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from itertools import permutations
from typing import Any

from grader.check import Failed, Handle, LearnerError, Step
from grader.checks.router.trial import RouterTrial, shown_route
from podpath.configuration import Route

STEP = Step("Step 1: look up the route")


@STEP.check(
    "lookup-longest",
    "of all prefixes that contain an address the longest wins, whatever their order",
    2,
    "A prefix of length n contains an address if their first n bits are the same. Of those that do, the longest wins.",
    "RT-02",
    "RT-08",
    "RT-10",
    "RT-14",
    "RT-15",
    "MRT-01",
    "MRT-02",
    "MRT-03",
)
def longest(t: RouterTrial) -> None:
    ports = t.links(4)
    nested = _nested(t, ports)
    orders: list[list[Route]] = [list(order) for order in permutations(nested)]
    for order in t.random.sample(orders, 8):
        router = t.router(*order)
        _ask(t, router, order, _around(t, order))
    everything = Route(IPv4Network("0.0.0.0/0"), ports[0], t.far(t.network(24)))
    others = [_route(t, t.network(length), ports) for length in (17, 19, 23, 30, 31, 32)]
    for order in ([everything, *nested, *others], [*others, *nested, everything]):
        router = t.router(*order)
        _ask(t, router, order, _around(t, order))
        _ask(t, router, order, [IPv4Address("203.0.113.7"), IPv4Address("198.51.100.255"), IPv4Address("192.0.2.0")])
    _text_is_no_prefix(t, ports)


def _nested(t: RouterTrial, ports: Sequence[str]) -> list[Route]:
    """Four routes, each inside the one before, to different next hops."""
    outer = t.network(t.random.choice([16, 17, 18]))
    address = t.far(outer)
    lengths = [outer.prefixlen, t.random.choice([19, 20, 21]), t.random.choice([24, 25, 27]), 32]
    return [_route(t, IPv4Network((address, length), strict=False), ports) for length in lengths]


def _route(t: RouterTrial, prefix: IPv4Network, ports: Sequence[str]) -> Route:
    port = t.random.choice(ports)
    return Route(prefix, port, t.interfaces[port].address.network[t.random.randrange(1, 30)])


def _around(t: RouterTrial, routes: Sequence[Route]) -> list[IPv4Address]:
    """Addresses at the edges of all prefixes, within and without, and some inside."""
    found = set()
    for route in routes:
        first, last = int(route.prefix.network_address), int(route.prefix.broadcast_address)
        found |= {first, last, first - 1, last + 1, t.random.randint(first, last), t.random.randint(first, last)}
    return [IPv4Address(number) for number in t.random.sample(sorted(found), len(found)) if 0 <= number < 1 << 32]


def _text_is_no_prefix(t: RouterTrial, ports: Sequence[str]) -> None:
    """Addresses that begin with the text of a prefix, and are not in it."""
    base = t.network(16)
    b, c = t.random.randrange(1, 25), t.random.randrange(1, 25)
    inner = IPv4Network((base[b * 256], 24))
    host = IPv4Network((base[b * 256 + c], 32))
    routes = [_route(t, prefix, ports) for prefix in (host, inner, base)]
    router = t.router(*routes)
    tens = [base[b * 256 + c * 10 + t.random.randrange(6)], base[b * 2560 + 512 + t.random.randrange(256)]]
    _ask(t, router, routes, [host[0], *tens, inner[c + 1]])


@STEP.check(
    "lookup-connected",
    "an interface brings the route to its own prefix along; where nothing fits there is None",
    1,
    "A router reaches the prefix of each of its interfaces directly: a route without `via`, longest prefix as any other.",
    "RT-07",
    "RT-12",
    "RT-15",
)
def connected(t: RouterTrial) -> None:
    ports = t.links(4)
    router = t.router()
    found = [one.address.network for one in t.interfaces.values()]
    links = [Route(prefix, port) for prefix, port in zip(found, ports, strict=True)]
    _ask(t, router, [], _around(t, links))
    outside = [t.far(t.network(24)) for _ in range(4)]
    _ask(t, router, [], outside)
    # Longer and shorter prefixes than those of the links compete with them.
    half = IPv4Network((found[0].network_address, found[0].prefixlen + 1))
    wide = found[1].supernet(4)
    routes = [_route(t, half, ports[2:]), _route(t, wide, ports[2:])]
    router = t.router(*routes)
    _ask(t, router, routes, _around(t, [*links, *routes]))


def _ask(t: RouterTrial, router: Handle, routes: Sequence[Route], addresses: Sequence[IPv4Address]) -> None:
    """Look these addresses up. What is right is found in the simplest way there is."""
    links = [Route(one.address.network, port) for port, one in t.interfaces.items()]
    table = [*routes, *links]
    with t.transcript.step(f"lookup of {len(addresses)} addresses"):
        for address in addresses:
            fitting = [route for route in table if address in route.prefix]
            right = max(fitting, key=lambda route: route.prefix.prefixlen, default=None)
            try:
                got = router.call("lookup", address)
            except LearnerError:
                t.transcript.wrong(f"lookup({address}): your code failed")
                raise
            if got != right:
                t.transcript.wrong(f"lookup({address}) must be {_words(right)}, was {_words(got)}")
                raise Failed(_mistake(address, right, got, links))


def _words(route: Any) -> str:
    return shown_route(route) if isinstance(route, Route) else repr(route)


def _mistake(address: IPv4Address, right: Route | None, got: Any, links: Sequence[Route]) -> str:
    if got is not None and not isinstance(got, Route):
        return f"lookup returned {_words(got)}. It returns a Route, the one that fits best, or None if none fits."
    if right is None:
        return f"No prefix contains {address}, so lookup must return None; it returned {_words(got)}."
    if got is None and right in links:
        return (
            f"{address} is on the link of {right.port}, whose prefix is {right.prefix}, but lookup returned None. Every "
            "interface brings a route to its own prefix along."
        )
    if got is None and right.prefix.prefixlen == 0:
        return f"{address} matches nothing, but the default route, 0.0.0.0/0, contains every address. Is its mask 0?"
    if got is None:
        return f"{address} is in {right.prefix}, but lookup returned None. {_range(right.prefix)}"
    if address not in got.prefix:
        return (
            f"{address} was treated as being inside {got.prefix}: prefixes are bits, not text, and all of the first "
            f"{got.prefix.prefixlen} bits count. {_range(got.prefix)}"
        )
    if got.prefix == right.prefix:
        return f"The prefix {got.prefix} is right, but its route is {_words(right)}, not {_words(got)}."
    return (
        f"{address} matched {got.prefix}, but {right.prefix} contains it as well, and is longer. The longest prefix "
        "wins, not the first."
    )


def _range(prefix: IPv4Network) -> str:
    return f"{prefix} is from {prefix[0]} to {prefix[-1]}."


# -- how long it takes

FEW, MANY = 10, 10_000  # routes
AT_ONCE = 20  # lookups between two looks at the clock
ROUNDS = 60
_TOO_SLOW = (  # how much is not said: that differs from run to run
    f"A lookup among {MANY:,} routes takes many times as long as one among {FEW}: it seems to look at every route, or to make "
    "its table anew each time. Make the table once, so that a lookup need not: a dict of prefixes for each length, a trie, "
    "or sorted bounds."
)
ENOUGH, TOO_MUCH, HOPELESS = 3.0, 5.0, 200.0  # times as long; what is far from fast need not be measured often
_SHORTEST = 20  # of the prefixes in these tables


@STEP.check(
    "lookup-speed",
    "10,000 routes are searched about as fast as 10",
    1,
    "Do not look at every route. There are at most 33 lengths of prefixes, and an address has 32 bits: search by these.",
)
def speed(t: RouterTrial) -> None:
    """Many short measurements in turn, of the processor time that their code takes; the shortest counts.

    What else the machine does is not in it, but makes caches cold now and then. As soon as the large table has been fast
    enough, it is: to fail one has to be slow all the time.
    """
    ports = t.links(3)
    small, large = (_table(t, ports, count) for count in (FEW, MANY))
    routers = [t.router(*small), t.router(*large)]
    # Who looks for the longest prefix first finds these last.
    widest = [[route for route in routes if route.prefix.prefixlen == _SHORTEST] for routes in (small, large)]
    home, fastest = t.subject.home(), [float("inf"), float("inf")]
    for number in range(ROUNDS + 1):
        for which, router in enumerate(routers):
            addresses = [_inside(t, route) for route in t.random.choices(widest[which], k=AT_ONCE)]
            took = _timed(t, home, router, addresses)
            if number:  # the first may still be making a table
                fastest[which] = min(fastest[which], took)
        if number >= 5 and fastest[1] <= ENOUGH * fastest[0]:
            break
        if number >= 2 and fastest[1] > HOPELESS / number * fastest[0]:
            break
    if fastest[1] > TOO_MUCH * fastest[0]:
        t.transcript.wrong(f"a lookup takes much longer among {MANY:,} routes than among {FEW}")
        raise Failed(_TOO_SLOW)
    t.transcript.say(f"a lookup takes about as long among {MANY:,} routes as among {FEW}")


def _timed(t: RouterTrial, home: int, router: Handle, addresses: list[IPv4Address]) -> float:
    began = _processor_time(home)
    try:
        router.call_all("lookup", addresses)
    except LearnerError as error:
        if "still running" not in str(error):
            raise
        t.transcript.wrong(f"{len(addresses)} lookups take more than the time there is")
        raise Failed(_TOO_SLOW) from None
    return _processor_time(home) - began


def _processor_time(process: int) -> float:
    """Seconds of processor time that a process has had: its CPU clock, which has a number (clock_getcpuclockid(3))."""
    return time.clock_gettime(~process << 3 | 2)


def _table(t: RouterTrial, ports: Sequence[str], count: int) -> list[Route]:
    """As many routes, equally many of each of ten lengths."""
    routes: list[Route] = []
    seen = {one.address.network for one in t.interfaces.values()}
    while len(routes) < count:
        length = _SHORTEST + len(routes) % 10
        prefix = IPv4Network((0x0A000000 | t.random.randrange(1 << 24), length), strict=False)
        if prefix not in seen:
            seen.add(prefix)
            routes.append(_route(t, prefix, ports))
    return routes


def _inside(t: RouterTrial, route: Route) -> IPv4Address:
    first, last = int(route.prefix.network_address), int(route.prefix.broadcast_address)
    return IPv4Address(t.random.randint(first, last))
