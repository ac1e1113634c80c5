"""The description of the API: for machines at /v1/openapi.json, for people at /v1/docs. Both are made from the views."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, json, render_template

from syndicator.reasons import Reason
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import endpoint
from syndicator.web.api.openapi import describe
from syndicator.web.identity import the_house
from syndicator.web.pages import cacheable
from syndicator.web.problems import REASON_STATUS

SECONDS_KEPT = 300


def description() -> dict[str, Any]:
    """Return the description, made once in a process."""
    if "api_description" not in current_app.extensions:
        current_app.extensions["api_description"] = describe(current_app, the_house().config)
    described: dict[str, Any] = current_app.extensions["api_description"]
    return described


@api.get("/openapi.json")
@endpoint(public=True, media={"json": "application/json"})
def openapi() -> Response:
    """Describe this API (OpenAPI 3.1)."""
    response = cacheable(Response(json.dumps(description(), sort_keys=False), mimetype="application/json"), seconds=SECONDS_KEPT)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@api.get("/docs")
@endpoint(public=True, media={"html": "text/html"})
def docs() -> Response:
    """Describe this API for people."""
    described = description()
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    schemas = described["components"]["schemas"]
    reasons = [(reason, REASON_STATUS.get(reason)) for reason in Reason if reason is not Reason.OK]
    page = render_template(
        "reference.html", described=described, groups=groups, schemas=schemas, reasons=reasons, kind_of=kind_of
    )
    return cacheable(Response(page, mimetype="text/html"), seconds=SECONDS_KEPT)


def kind_of(schema: dict[str, Any]) -> str:
    """Say in words what a schema asks for: `text`, `whole number, 1 to 100`, `one of a, b`."""
    if "$ref" in schema:
        named = description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return kind_of(named) if "enum" in named else schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(kind_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    words = {"string": "text", "integer": "whole number", "object": "object", "boolean": "true or false", "null": "null"}
    kind = "instant" if schema.get("format") == "date-time" else words.get(schema.get("type", ""), "anything")
    if "minimum" in schema and "maximum" in schema and schema["maximum"] <= 1000:
        return f"{kind}, {schema['minimum']} to {schema['maximum']}"
    return kind
