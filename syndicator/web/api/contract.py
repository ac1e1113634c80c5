"""The API's views as contracts: what a view asks and answers is its signature.

    @api.get("/changes")
    @endpoint()
    def changes(asked: ChangesAsked) -> Changes: ...

An argument that is a Query is read from the query string, one that is a Body from the JSON body; the Answer returned is written
as JSON. `openapi.py` describes the same signatures. What does not fit raises InvalidRequest naming the field as it was spelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from flask import Response, request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints, ValidationError

from syndicator.errors import InvalidRequest
from syndicator.render.plain import rfc3339
from syndicator.web.bodies import json_body, storable

LARGEST_NUMBER = 2**31 - 1  # of what a column INTEGER holds


def _read_instant(value: object) -> object:
    """Read RFC 3339, or a date as its midnight in UTC; years that no zone can push over the edge."""
    if not isinstance(value, str):
        return value
    whole_day = len(value) == len("2026-07-01")
    read = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC) if whole_day else datetime.fromisoformat(value)
    if read.tzinfo is None or not 1970 <= read.year <= 9998:
        raise ValueError("must say its zone, such as 2026-07-01T12:00:00Z")
    return read


Instant = Annotated[datetime, BeforeValidator(_read_instant)]
Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]
Prose = Annotated[str, AfterValidator(storable)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(storable)]


class Query(BaseModel):
    """Parameters after the question mark. An unknown one is refused: a misspelt filter must not answer with everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(BaseModel):
    """A JSON object that is sent to us, taken literally."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(BaseModel):
    """A JSON object that we send. Clients are told to ignore members they do not know."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Contract:
    """What one view asks and answers; `media` other than JSON by name of the format."""

    query: type[Query] | None
    body: type[Body] | None
    answer: type[Answer] | None
    status: int
    public: bool
    media: Mapping[str, str]
    takes: type[BaseModel] | None = None  # what the body is described by: `body`, or a model that the view reads for itself
    also: int | None = None  # another status with the same answer


Model = TypeVar("Model", bound=BaseModel)
CONTRACTS: dict[str, Contract] = {}  # by module and name of the view


def endpoint(
    status: int = 200,
    *,
    public: bool = False,
    media: Mapping[str, str] | None = None,
    takes: type[BaseModel] | None = None,
    also: int | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a view of a function; `public` says that it needs no key. One that returns None answers 204; `also` is another status.

    Beside the Answer a view may return headers and another status; `media` are the types of one that returns a Response.
    """

    def furnish(view: Callable[..., Any]) -> Callable[..., Response]:
        hints = get_type_hints(view)
        asked = {name: kind for name, kind in hints.items() if name != "return" and isinstance(kind, type)}
        answer = hints.get("return")
        kinds = [kind for kind in (answer, *get_args(answer)) if isinstance(kind, type)]
        body = next((kind for kind in asked.values() if issubclass(kind, Body)), None)
        contract = Contract(
            query=next((kind for kind in asked.values() if issubclass(kind, Query)), None),
            body=body,
            takes=takes or body,
            answer=next((kind for kind in kinds if issubclass(kind, Answer)), None),
            status=204 if answer is type(None) else status,
            public=public,
            media=media or {},
            also=also,
        )

        @wraps(view)
        def answered(**values: Any) -> Response:
            for name, kind in asked.items():
                if issubclass(kind, Query):
                    values[name] = read_query(kind)
                elif issubclass(kind, Body):
                    values[name] = read_body(kind)
            return _written(view(**values), contract.status)

        CONTRACTS[f"{view.__module__}.{view.__name__}"] = contract
        return answered

    return furnish


def contract_of(view: Callable[..., Any]) -> Contract | None:
    return CONTRACTS.get(f"{view.__module__}.{view.__name__}")


def read_query(kind: type[Model]) -> Model:
    """Return the query string as `kind`."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise InvalidRequest("is given more than once", name)
    return _read(kind, request.args.to_dict())


def read_body(kind: type[Model]) -> Model:
    """Return the JSON body as `kind`."""
    values = json_body()
    if not isinstance(values, dict):
        raise InvalidRequest("the body must be a JSON object")
    return _read(kind, values)


def _read(kind: type[Model], values: Mapping[str, Any]) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidRequest(f"{field}: {first['msg'].removeprefix('Value error, ')}", field) from error


def _written(given: Any, status: int) -> Response:
    answer, headers, *told = given if isinstance(given, tuple) else (given, {})
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status=status)
    text = answer.model_dump_json(by_alias=True)
    return Response(text, status=told[0] if told else status, headers=headers, mimetype="application/json")
