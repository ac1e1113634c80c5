"""Routes that cost a start nothing but what is matched: werkzeug compiles two functions per route that build addresses of it.

Our pages write their addresses themselves, so that nearly none of those functions is ever called, and all of them together took
most of the time in which an application is made. They are compiled when the first address is built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from werkzeug.routing import Rule


class Route(Rule):
    """A rule that can be matched at once and is made able to build addresses when it first has to."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = cache(super()._compile_builder)

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            return compile_builder(append_unknown)(rule, **values)

        return build
