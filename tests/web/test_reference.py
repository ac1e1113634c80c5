"""The API's description and its views are one thing: every route is in it, and no request made from it is a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from syndicator.app import create_app
from syndicator.config import Config, Database, Limits
from syndicator.house import open_house
from tests.clocks import HandClock
from tests.desk import Desk
from tests.render.strategies import HOSTILE
from tests.web.callers import key_of

Operation = tuple[str, str, dict[str, Any]]
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture
def desk(config: Config, clock: HandClock, sqlite_url: str) -> Iterator[Desk]:
    settled = config.model_copy(update={"database": Database(url=sqlite_url), "limits": Limits(enabled=False)})
    house = open_house(settled, clock)
    yield Desk(house)
    house.engine.dispose()


@pytest.fixture
def app(desk: Desk) -> Flask:
    return create_app(desk.house.config, desk.house)


@pytest.fixture
def described(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/v1/openapi.json").get_json()
    return document


def operations(described: dict[str, Any]) -> list[Operation]:
    return [(method, path, each) for path, found in described["paths"].items() for method, each in found.items()]


def test_every_route_of_the_api_is_described(app: Flask, described: dict[str, Any]) -> None:
    routes = {
        (method.lower(), rule.rule.count("<"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(method, path.count("{")) for method, path, _ in operations(described)}
    assert len(operations(described)) == sum(
        len((rule.methods or set()) - {"HEAD", "OPTIONS"}) for rule in app.url_map.iter_rules() if rule.rule.startswith("/v1/")
    )
    assert all(each.get("summary") for _, _, each in operations(described))
    ids = [each["operationId"] for _, _, each in operations(described)]
    assert len(ids) == len(set(ids))


def test_the_description_is_sound(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    validate(described, cls=OpenAPIV31SpecValidator)
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for _, path, each in operations(described):
        named = {parameter["name"] for parameter in each.get("parameters", []) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
    assert "Bearer" in described["info"]["description"]


def test_the_page_shows_every_operation(client: FlaskClient, described: dict[str, Any]) -> None:
    page = client.get("/v1/docs")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert all(f'id="{each["operationId"]}"' in text for _, _, each in operations(described))
    assert "<script>" not in text
    assert page.headers["Cache-Control"].startswith("public")


words = st.sampled_from([*HOSTILE, "%", "a" * 300, "0", "-1", "9" * 30, "2026-01-01", "null"]) | st.text(max_size=8)
numbers = st.integers() | st.sampled_from([0, 1, 2**31, 2**63, 2**64, -1])
junk = st.recursive(st.none() | st.booleans() | numbers | words, lambda inner: st.lists(inner, max_size=3), max_leaves=3)


INSTANTS = ("2026-07-01T12:00:00Z", "2026-07-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:00")


def values(schema: dict[str, Any], described: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit `schema`, mostly."""
    if "$ref" in schema:
        return values(described["components"]["schemas"][schema["$ref"].rpartition("/")[2]], described)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([values(each, described) for each in schema["anyOf"]])
    match schema.get("type"):
        case "integer":
            return st.integers(schema.get("minimum", 0), min(schema.get("maximum", 2**62), 5) if schema.get("maximum") else 2**62)
        case "array":
            return st.lists(values(schema.get("items", {}), described), max_size=2)
        case "object" if "properties" in schema:
            members = {name: values(each, described) for name, each in schema["properties"].items()}
            needed = set(schema.get("required", []))
            return st.fixed_dictionaries(
                {name: value for name, value in members.items() if name in needed},
                optional={name: value for name, value in members.items() if name not in needed},
            )
        case "string" if schema.get("format") == "date-time":
            return st.sampled_from(INSTANTS)
        case "string":
            return st.text(min_size=1, max_size=20)
        case "boolean":
            return st.booleans()
    return junk


@settings(max_examples=150, suppress_health_check=QUIET)
@given(data=st.data())
def test_no_request_is_a_fault_and_every_answer_is_as_described(
    desk: Desk, client: FlaskClient, described: dict[str, Any], data: st.DataObject
) -> None:
    if "callers" not in client.application.extensions:
        story = desk.publish().story
        publisher = desk.publisher()
        made = desk.subscription(publisher)
        known = [story.public_id, made.public_id, "river", "1", "latest"]
        client.application.extensions["callers"] = ([key_of(desk.house, publisher), key_of(desk.house, None), {}], known)
    callers, known = client.application.extensions["callers"]
    method, path, operation = data.draw(st.sampled_from(operations(described)))
    query: dict[str, Any] = {}
    for parameter in operation.get("parameters", []):
        fitting = values(parameter["schema"], described)
        if parameter["in"] == "path":
            drawn = str(data.draw(st.sampled_from(known) | fitting | words))
            path = path.replace(f"{{{parameter['name']}}}", _quoted(drawn))
        elif parameter["in"] == "query" and parameter["name"] != "wait" and data.draw(st.booleans()):
            query[parameter["name"]] = _text(data.draw(fitting | words))
    body = None
    if "requestBody" in operation:
        body = data.draw(values(operation["requestBody"]["content"]["application/json"]["schema"], described) | junk)
    answer = client.open(path, method=method.upper(), query_string=query, json=body, headers=data.draw(st.sampled_from(callers)))
    assert answer.status_code < 500, answer.get_data(as_text=True)
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json"
        assert _errors(described, {"$ref": "#/components/schemas/Problem"}, answer.get_json()) == []
    elif answer.mimetype == "application/json" and answer.status_code == int(next(iter(operation["responses"]))):
        schema = operation["responses"][str(answer.status_code)]["content"]["application/json"].get("schema", {})
        assert _errors(described, schema, answer.get_json()) == []


def _errors(described: dict[str, Any], schema: dict[str, Any], instance: Any) -> list[str]:
    whole = {**schema, "components": described["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(instance)]


def _quoted(text: str) -> str:
    return quote(_text(text), safe="") or "%20"


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()
