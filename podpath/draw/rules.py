"""The picture of a packet filter's rules: chain by chain, with what each rule has counted."""

from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, WIDTH, canvas, wrapped, write
from podpath.rules import Rule

_HEAD, _LINE, _INDENT, _COUNT, _EDGE = 0.34, 0.17, 0.22, 1.35, 0.1  # inches


def rules(now: Sequence[Rule], before: Sequence[Rule] | None = None, ax: Axes | None = None) -> Axes:
    """Rules in the order in which they are tried, each with its number, its packets, and its text.

    A chain that a rule jumps to stands below it, further in. With `before`, an earlier reading, only what was counted
    since is shown, and the rules that were hit meanwhile are bold and marked.
    """
    chains = _ordered(now)
    earlier = {(rule.chain, rule.text, n): rule.packets or 0 for n, rule in _numbered(before or ())}
    lines = [
        (depth, chain, _told(now, chain, earlier, before is not None, WIDTH - 2 * _EDGE - _COUNT - depth * _INDENT))
        for chain, depth in chains
    ]
    high = sum(_HEAD + sum(0.06 + _LINE * len(text) for _, _, text, _ in told) for _, _, told in lines)
    most = max((count or 0 for _, _, told in lines for _, count, _, _ in told), default=0)
    ax = canvas(ax, WIDTH, max(0.5, high + 0.15))
    y = 0.0
    for depth, chain, told in lines:
        write(ax, _EDGE + _COUNT + depth * _INDENT, y + _HEAD / 2 + 0.04, chain, "text", bold=True)
        y += _HEAD
        for number, count, text, hit in told:
            y = _rule(ax, y, depth, number, count, text, hit, most)
    if not now:
        write(ax, _EDGE, 0.25, "There are no rules.")
    return ax


def _ordered(now: Sequence[Rule]) -> list[tuple[str, int]]:
    """The chains, each followed by those that it jumps to; how deep each stands."""
    order = list(dict.fromkeys(rule.chain for rule in now))
    jumps = {chain: [to for rule in now if rule.chain == chain for to in rule.jumps] for chain in order}
    targets = {target for found in jumps.values() for target in found}
    seen: dict[str, int] = {}

    def visit(chain: str, depth: int) -> None:
        if chain in seen or chain not in jumps:
            return
        seen[chain] = depth
        for target in jumps[chain]:
            visit(target, depth + 1)

    for chain in [*(one for one in order if one not in targets), *order]:
        visit(chain, 0)
    return list(seen.items())


def _numbered(told: Sequence[Rule]) -> list[tuple[int, Rule]]:
    """Rules with how many of the same text stand before them in their chain: so that two alike are told apart."""
    met: Counter[tuple[str, str]] = Counter()
    numbered = []
    for rule in told:
        numbered.append((met[rule.chain, rule.text], rule))
        met[rule.chain, rule.text] += 1
    return numbered


def _told(
    now: Sequence[Rule], chain: str, earlier: dict[tuple[str, str, int], int], since: bool, room: float
) -> list[tuple[int, int | None, list[str], bool]]:
    """Of each rule of a chain: its number, its packets, its text in lines, and whether it was hit since."""
    told: list[tuple[int, int | None, list[str], bool]] = []
    for alike, rule in _numbered([rule for rule in now if rule.chain == chain]):
        count = rule.packets
        past = earlier.get((rule.chain, rule.text, alike), 0)
        if count is not None and since and count >= past:  # or else it was set to zero meanwhile
            count -= past
        hit = since and bool(count)
        told.append((len(told) + 1, count, wrapped(rule.text, room - 0.35, "tiny", mono=True, bold=hit), hit))
    return told


def _rule(
    ax: Axes, y: float, depth: int, number: int, count: int | None, text: Sequence[str], hit: bool, most: int
) -> float:
    high, left = 0.06 + _LINE * len(text), _EDGE + _COUNT + depth * _INDENT
    ax.add_patch(Rectangle((_EDGE, y), WIDTH - 2 * _EDGE, high - 0.02, fc=PALETTE["shade"], ec="none", zorder=0))
    if count:
        across = 0.55 * count / most
        ax.add_patch(Rectangle((_EDGE, y + 0.03), across, _LINE, fc=PALETTE["orange" if hit else "sky"], ec="none"))
    middle = y + 0.03 + _LINE / 2
    shown = "" if count is None else f"{'◆ ' if hit else ''}{count:,}"
    write(ax, _EDGE + _COUNT - 0.12, middle, shown, "small", "ink" if count else "grey", "right", bold=hit)
    write(ax, left + 0.2, middle, str(number), "tiny", "grey", "right")
    for at, line in enumerate(text):
        write(ax, left + 0.3, middle + at * _LINE, line, "tiny", "ink" if count != 0 else "grey", bold=hit, mono=True)
    return y + high
