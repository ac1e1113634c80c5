"""The OpenAPI 3.1 description of every route under /v1, made from the views: their addresses, docstrings and contracts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule
from werkzeug.routing.converters import AnyConverter, NumberConverter

from syndicator import __version__
from syndicator.config import Config
from syndicator.domain.publishers import Scope
from syndicator.reasons import Reason
from syndicator.web.api.contract import Answer, Contract, contract_of

PREFIX = "/v1/"
REF = "#/components/schemas/{model}"
UNWRITTEN = Contract(query=None, body=None, answer=None, status=200, public=False, media={})  # of a view without `endpoint`
INTRODUCTION = """Stories for approved news publishers. Send the key as `Authorization: Bearer …`. Errors are problem documents \
(RFC 9457) whose `reason` is stable. Members may be added to answers at any time: ignore those you do not know."""
HEADERS = {
    "RateLimit-Policy": "The limit that counted this request, its quota q and its window w in seconds.",
    "RateLimit": "What is left of it (r), and in how many seconds all of it is back (t).",
    "Retry-After": "Seconds to wait before asking again.",
    "ETag": "Of this answer; send it as If-None-Match.",
    "Link": "The license that stands beside the answer, and where a list goes on (RFC 8288).",
}
LIMITED = ("RateLimit-Policy", "RateLimit")
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A word of your own: within a day, the same request with it has the same answer and no second effect.",
    "schema": {"type": "string", "maxLength": 255},
}


class Problem(Answer):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: Reason
    contact: str
    field: str | None = None


def describe(app: Flask, config: Config) -> dict[str, Any]:
    """Return the whole description, ready for JSON."""
    routes = sorted(_routes(app), key=lambda route: (_path(route[0]), route[1]))
    contracts = {id(rule): _contract(app, rule) for rule, _ in routes}
    schemas, definitions = _schemas(list(contracts.values()))
    paths: dict[str, dict[str, Any]] = {}
    for rule, method in routes:
        paths.setdefault(_path(rule), {})[method.lower()] = _operation(app, rule, method, contracts[id(rule)], schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": f"{config.site.name}: syndication API",
            "version": __version__,
            "description": INTRODUCTION,
            "contact": {"email": config.notice.contact_email},
            "license": {"name": config.license.title, "url": config.license_url},
        },
        "servers": [{"url": config.site.base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": f"An API key; scopes: {', '.join(Scope)}."}
            },
            "headers": {name: {"description": words, "schema": {"type": "string"}} for name, words in HEADERS.items()},
            "responses": {
                "Problem": _response("What went wrong.", {"application/problem+json": schemas[Problem]}, *LIMITED, "Retry-After")
            },
        },
    }


def _routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(PREFIX):
            yield from ((rule, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"})


def _contract(app: Flask, rule: Rule) -> Contract:
    return contract_of(app.view_functions[rule.endpoint]) or UNWRITTEN


def _schemas(contracts: list[Contract]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return a reference to the schema of each model, and the schemas."""
    asked = {model for contract in contracts for model in (contract.query, contract.takes) if model}
    answered = {contract.answer for contract in contracts if contract.answer} | {Problem}
    modes: list[Any] = [*((model, "validation") for model in asked), *((model, "serialization") for model in answered)]
    modes.sort(key=lambda pair: pair[0].__name__)
    references, whole = models_json_schema(modes, ref_template=REF)
    by_model: dict[Any, dict[str, Any]] = {model: dict(reference) for (model, _), reference in references.items()}
    return by_model, whole["$defs"]


def _operation(
    app: Flask, rule: Rule, method: str, contract: Contract, schemas: Mapping[type[BaseModel], dict[str, Any]]
) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    parameters = [*_path_parameters(rule), *_query_parameters(contract), *([IDEMPOTENCY] if method == "POST" else [])]
    media = {media_type: {"type": "string"} if "json" not in media_type else {} for media_type in contract.media.values()}
    answers = media or ({"application/json": schemas[contract.answer]} if contract.answer else {})
    reads = method == "GET"
    done = _response("Done.", answers, *LIMITED, *(("ETag", "Link") if reads else ()))
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [_tag(rule)],
        "summary": " ".join(summary.split()),
        "description": " ".join(more.split()),
        "parameters": parameters,
        "responses": {
            str(contract.status): done,
            **({str(contract.also): done} if contract.also else {}),
            **({"304": _response("Not changed since the answer with that ETag.", {})} if reads else {}),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if contract.takes:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[contract.takes]}}}
    if contract.public:
        operation["security"] = [{}, {"key": []}]
    return {name: value for name, value in operation.items() if value not in ("", [])}


def _tag(rule: Rule) -> str:
    return rule.rule.removeprefix(PREFIX).partition("/")[0].partition(".")[0]


def _response(words: str, media: Mapping[str, Any], *headers: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media_type: {"schema": schema} if schema else {} for media_type, schema in media.items()},
    }
    return {"description": words} | {name: value for name, value in told.items() if value}


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^<>:]+:)?([^<>:]+)>", r"{\1}", rule.rule)


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(converter)}
        for name, converter in rule._converters.items()
    ]


def _path_schema(converter: object) -> dict[str, Any]:
    match converter:
        case AnyConverter():
            return {"type": "string", "enum": sorted(converter.items)}
        case NumberConverter():
            return {"type": "integer", "minimum": 0}
        case _:
            return {"type": "string"}


def _query_parameters(contract: Contract) -> list[dict[str, Any]]:
    """Write each field of the query model as a parameter; what may be left out is not null but absent."""
    if contract.query is None:
        return []
    schema = contract.query.model_json_schema(ref_template=REF)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.pop("description", ""),
            "schema": _present(field),
        }
        for name, field in schema["properties"].items()
    ]


def _present(field: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in field.items() if name not in {"title", "anyOf"} and value is not None}
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    return kept | (kinds[0] if kinds else {})
