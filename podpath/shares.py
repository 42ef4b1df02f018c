"""How traffic spreads over those who answer it."""

import http.client
import math
import socket
import time
from collections import Counter
from urllib.parse import urlsplit

from podpath import netns
from podpath.host import Host

NO_ANSWER = "no answer"


def ask(source: Host, url: str, times: int, deadline: float = 30.0) -> Counter[str]:
    """Fetch `url` (http) from a host `times` times, over a new connection each; how often which answer came.

    What gets none within a second counts as "no answer", as does what `deadline` seconds leave no time for.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a page: http://ADDRESS[:PORT]/")
    told: Counter[str] = Counter()
    until = time.monotonic() + deadline
    for _ in range(times):
        if time.monotonic() > until:
            told[NO_ANSWER] += times - told.total()
            break
        told[_answer(source, parts.hostname, parts.port or 80, parts.path or "/")] += 1
    return told


def _answer(source: Host, address: str, port: int, path: str) -> str:
    with netns.inside(source.netns):  # where a socket is opened, there it belongs
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    asking = http.client.HTTPConnection(address, port)
    asking.sock = opened
    try:
        opened.settimeout(1.0)
        opened.connect((address, port))
        asking.request("GET", path, headers={"Connection": "close"})
        return asking.getresponse().read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return NO_ANSWER
    finally:
        asking.close()


def bounds(draws: int, share: float, outside: float = 0.001) -> tuple[int, int]:
    """Between which counts an honest choice stays that takes one of several with the probability `share`.

    Of `draws` draws. It is outside, on either side together, with a probability of at most `outside` (the exact
    quantiles of the binomial distribution).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    chances = [_binomial(draws, count, share) for count in range(draws + 1)]
    low, below = 0, 0.0
    while below + chances[low] <= outside / 2 and low < draws:
        below += chances[low]
        low += 1
    high, above = draws, 0.0
    while above + chances[high] <= outside / 2 and high > 0:
        above += chances[high]
        high -= 1
    return low, high


def _binomial(draws: int, count: int, share: float) -> float:
    if share in (0, 1):
        return float(count == draws * share)
    ways = math.lgamma(draws + 1) - math.lgamma(count + 1) - math.lgamma(draws - count + 1)
    return math.exp(ways + count * math.log(share) + (draws - count) * math.log1p(-share))
