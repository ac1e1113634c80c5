"""Reading a site's robots.txt (RFC 9309): may we fetch this page? Text in, yes or no out."""

from __future__ import annotations

from urllib.parse import unquote

MAX_BYTES = 524_288  # RFC 9309, 2.5: at least 500 KiB are read
_ANYBODY = "*"


def allows(robots: str, product: str, target: str) -> bool:
    """Say whether `robots` lets the crawler called `product` fetch `target` (path and query). The longest rule that fits decides,
    and among equals the one that allows (2.2.2)."""
    fitting = [(len(pattern), allowed) for allowed, pattern in _rules(robots, product.lower()) if _fits(pattern, unquote(target))]
    return max(fitting, default=(0, True))[1]


def _rules(robots: str, product: str) -> list[tuple[bool, str]]:
    """Return the rules of all groups that name `product`, or else of those for anybody."""
    groups: dict[str, list[tuple[bool, str]]] = {}
    named: set[str] = set()  # of those two, whom the group being read is for
    ruled = True
    for line in robots.removeprefix("\ufeff").splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            named = set() if ruled else named
            ruled = False
            if (agent := value.partition("/")[0].strip().lower()) in {product, _ANYBODY}:
                named.add(agent)
                groups.setdefault(agent, [])
        elif name in {"allow", "disallow"}:
            ruled = True
            for agent in named if value else ():
                groups[agent].append((name == "allow", unquote(value)))
    return groups.get(product, groups.get(_ANYBODY, []))


def _fits(pattern: str, target: str) -> bool:
    """Match with `*` for anything and `$` for the end, by plain search: a pattern cannot be made to cost time."""
    first, *middle = pattern.removesuffix("$").split("*")
    if not target.startswith(first):
        return False
    at, last = len(first), middle.pop() if middle and pattern.endswith("$") else None
    for piece in middle:
        found = target.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if last is not None:
        return target.endswith(last) and len(target) - len(last) >= at
    return at == len(target) or not pattern.endswith("$")
