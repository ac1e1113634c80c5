"""Routes that are compiled late build what werkzeug's own build."""

from __future__ import annotations

from types import CodeType
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from syndicator.web.routes import Route

ADDRESSES: list[tuple[str, dict[str, Any]]] = [
    ("page", {}),
    ("page", {"q": "a b&c", "from": "2026-01"}),
    ("story", {"public_id": "ä/b?", "slug": "x y"}),
    ("story", {"public_id": "a"}),
    ("number", {"seq": 7, "more": 1}),
    ("preset", {}),
    ("preset", {"kind": "html"}),
]


def rules(rule: type[Rule]) -> Map:
    return Map(
        [
            rule("/latest", endpoint="page"),
            rule("/stories/<public_id>/<slug>", endpoint="story"),
            rule("/stories/<public_id>", endpoint="story"),
            rule("/kills/<int:seq>", endpoint="number"),
            rule("/copy/text", endpoint="preset", defaults={"kind": "text"}),
            rule("/copy/<kind>", endpoint="preset"),
        ]
    )


@pytest.mark.parametrize(("endpoint", "values"), ADDRESSES)
def test_a_route_builds_the_address_that_a_rule_builds(endpoint: str, values: dict[str, Any]) -> None:
    for append_unknown in (True, False):
        ours, theirs = (
            rules(rule).bind("wire.example").build(endpoint, values, append_unknown=append_unknown) for rule in (Route, Rule)
        )
        assert ours == theirs


def test_what_builds_an_address_is_compiled_for_the_first_address_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_for_real = Rule._get_func_code

    def count(code: CodeType, name: str) -> Any:
        compiled.append(name)
        return compile_for_real(code, name)

    monkeypatch.setattr(Rule, "_get_func_code", staticmethod(count))
    bound = rules(Route).bind("wire.example")
    assert bound.match("/kills/7") == ("number", {"seq": 7})
    assert not compiled
    assert [bound.build("number", {"seq": seq}) for seq in (1, 2)] == ["/kills/1", "/kills/2"]
    assert len(compiled) == 1
