"""What an applicant answers, as it is stored with the application: checked, one line where a line is meant, nothing unasked.

Every question may stay open in a draft; `missing` names what must be answered before it can be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from syndicator.domain.publishers import read_domain
from syndicator.domain.visible import one_visible_line, visible_lines
from syndicator.errors import InvalidForm, InvalidRequest

MOST_SITES = 20
LONGEST_TYPED = 16_000  # characters of one field, before anything is done with them
LONGEST_LINE = 200
LONGEST_EMAIL = 254
LONGEST_TEXT = 4000
MOST_PEOPLE = 2_000_000_000
_EMAIL = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]+\.[^@\s<>\",;:\\()\[\]]+")


def _line(value: object) -> object:
    return one_visible_line(_bounded(value)) if isinstance(value, str) else value


def _text(value: object) -> object:
    return visible_lines(_bounded(value)) if isinstance(value, str) else value


def _bounded(value: str) -> str:
    if len(value) > LONGEST_TYPED:
        raise ValueError("That is far too long.")
    return value


def _at_most(length: int) -> AfterValidator:
    def check(value: str) -> str:
        if len(value) > length:
            raise ValueError(f"That is longer than {length:,} characters.")
        return value

    return AfterValidator(check)


def _url(value: str) -> str:
    if not value:
        return ""
    url = value if "://" in value else f"https://{value}"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and "." in (parts.hostname or "") and parts.username is None
    except ValueError:
        fits = False
    if not fits or " " in url or len(url) > 2048:
        raise ValueError("Give a whole address, such as https://courier.example/about.")
    return url


def _email(value: str) -> str:
    if value and (
        len(value) > LONGEST_EMAIL or not _EMAIL.fullmatch(value)
    ):  # the length first: the pattern is slow on a long one
        raise ValueError("That is no e-mail address.")
    return value


def _count(value: object) -> object:
    """Read a number as people write it: 120,000 or 120 000; empty is None."""
    if not isinstance(value, str):
        return value
    digits = re.sub(r"[\s,.'’_]", "", value)
    if not digits:
        return None
    if not digits.isascii() or not digits.isdigit() or int(digits[:20]) > MOST_PEOPLE:
        raise ValueError("Give a whole number, such as 120,000.")
    return int(digits)


def _sites(value: object) -> object:
    """Read one site a line, as a name or as a whole address; `www.` is left out."""
    found = re.split(r"[\s,;]+", _bounded(value).strip()) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        return found
    sites = []
    for each in filter(None, found):
        try:
            name = urlsplit(each if "://" in each else f"//{each}").hostname or ""
            domain = read_domain(name)
            sites.append(domain.removeprefix("www.") if domain.count(".") > 1 else domain)
        except (InvalidRequest, ValueError) as error:
            raise ValueError(f"{each[:80]!r} is no site; write it as courier.example.") from error
    if len(sites) > MOST_SITES:
        raise ValueError(f"Name at most {MOST_SITES} sites.")
    return tuple(dict.fromkeys(sites))


Line = Annotated[str, BeforeValidator(_line), _at_most(LONGEST_LINE)]
Words = Annotated[str, BeforeValidator(_text), _at_most(LONGEST_TEXT)]
Url = Annotated[str, BeforeValidator(_line), AfterValidator(_url)]
Email = Annotated[str, BeforeValidator(_line), AfterValidator(_email)]
Count = Annotated[int | None, BeforeValidator(_count)]
Sites = Annotated[tuple[str, ...], BeforeValidator(_sites)]


class Answers(BaseModel):
    """One application's answers. `passes_on` and `ai_use` are empty until answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: Line = ""
    legal_name: Line = ""
    country: Line = ""
    languages: Line = ""
    about_url: Url = ""
    corrections_url: Url = ""
    sites: Sites = ()
    editorial_name: Line = ""
    editorial_email: Email = ""
    technical_name: Line = ""
    technical_email: Email = ""
    licensing_name: Line = ""
    licensing_email: Email = ""
    newsletter_reach: Count = None
    app_reach: Count = None
    print_reach: Count = None
    broadcast_reach: Count = None
    use: Words = ""
    passes_on: Literal["", "no", "yes"] = ""
    ai_use: Literal["", "none", "assist", "products"] = ""
    ai_words: Words = ""
    referrer: Line = ""
    remarks: Words = ""

    def missing(self) -> dict[str, str]:
        """Return what must be answered before the application can be sent: fields and why."""
        asked = {
            "organisation": "Say what the organisation is called.",
            "sites": "Name at least one site.",
            "editorial_name": "Name somebody.",
            "editorial_email": "Say where corrections reach them.",
            "use": "Say where and how the stories will appear.",
            "passes_on": "Please choose one.",
            "ai_use": "Please choose one.",
        }
        return {field: words for field, words in asked.items() if not getattr(self, field)}

    def stored(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def read_answers(values: Mapping[str, Any]) -> Answers:
    """Read the answers of a form; raises InvalidForm that says of each field what is wrong with it."""
    try:
        return Answers(**values)
    except ValidationError as error:
        faults = {str(each["loc"][0]): each["msg"].removeprefix("Value error, ") for each in error.errors()}
        raise InvalidForm(faults) from error
