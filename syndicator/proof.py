"""Looks for the proof that a domain is its publisher's: a DNS TXT record, a well-known file, or a tag on the home page.

Any one is enough. The token is never part of a request, so a server that repeats what it is asked proves nothing. What was not
found is told in words for the domain's owner, with the usual mix-ups named. Nothing is raised for what a domain does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import lxml.etree
import lxml.html

from syndicator.errors import AddressRefused, FetchFailed
from syndicator.outbound import Fetched, Outbound

RECORD = "_syndicator-challenge"
FILE = "/.well-known/syndicator-challenge.txt"
TAG = "syndicator-site-verification"
TOKEN_PREFIX = "syn-site-"  # noqa: S105 -- by which a token of another site is recognised
DNS_SECONDS = 5.0
MOST_BYTES = 524_288
MOST_HOPS = 3

_A_TOKEN = re.compile(rf"{TOKEN_PREFIX}[0-9a-z]{{32}}")
_WHY = {
    "timeout": "the site did not answer in time",
    "dns": "the name is not known",
    "connect": "no connection could be made",
    "tls": "its certificate is not valid",
    "redirect": "it redirects to another site",
    "plain": "it redirects to http, where anybody on the way could answer",
    "too-large": "its answer is too large",
    "broken-answer": "its answer was broken",
}
_NO_SERVER = frozenset({_WHY["dns"], _WHY["connect"], _WHY["tls"]})


@dataclass(frozen=True, slots=True)
class Found:
    """The proof is there; `way` is dns, file or meta."""

    way: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The proof is not there; `words` say what was, a sentence for each way."""

    words: str


def open_resolver() -> dns.resolver.Resolver:
    """Return a resolver that asks this machine's name servers and remembers nothing: a new record is seen at once."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = DNS_SECONDS
    return resolver


def https(domain: str) -> str:
    return f"https://{domain}"


@dataclass(frozen=True, slots=True)
class Prover:
    """`origin` says where a domain's pages are: by https and nowhere else."""

    outbound: Outbound
    resolver: dns.resolver.Resolver
    origin: Callable[[str], str] = https

    def look(self, domain: str, token: str) -> Found | NotFound:
        """Look for `token` in all three ways, DNS first."""
        told = []
        for way, look in (("dns", self._dns), ("file", self._file), ("meta", self._meta)):
            missing = look(domain, token)
            if missing is None:
                return Found(way)
            told.append(missing)
        return NotFound(" ".join(told))

    def _dns(self, domain: str, token: str) -> str | None:
        """Return None if the record holds the token, else what is wrong."""
        name = f"{RECORD}.{domain}"
        try:
            values = self._texts(name)
        except dns.exception.DNSException:
            return f"DNS: the name servers of {domain} gave no answer."
        if token in values:
            return None
        if any(_A_TOKEN.search(value) for value in values):
            return f"DNS: the TXT record at {name} holds a token of another site or account."
        if values:
            return f"DNS: the TXT record at {name} holds something else."
        return f"DNS: there is no TXT record at {name}.{self._misplaced(domain, token)}"

    def _misplaced(self, domain: str, token: str) -> str:
        """Name the two places where the record is often put by mistake."""
        places = {
            f"{RECORD}.{domain}.{domain}": "the domain was added twice; enter only the part before it",
            domain: f"it stands at the domain itself; its name must be {RECORD}",
        }
        for place, hint in places.items():
            try:
                if token in self._texts(place):
                    return f" We found it at {place}: {hint}."
            except dns.exception.DNSException:
                continue
        return ""

    def _texts(self, name: str) -> list[str]:
        """Return the TXT values at `name`, each in one piece (RFC 7208, 3.3), trimmed of the quotes that some panels add."""
        try:
            answer = self.resolver.resolve(dns.name.from_text(name), dns.rdatatype.TXT, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        return [b"".join(record.strings).decode("utf-8", "replace").strip().strip('"“”').strip() for record in answer]

    def _file(self, domain: str, token: str) -> str | None:
        answer = self._get(domain, FILE)
        if isinstance(answer, str):
            return f"File: {answer}."
        lines = answer.body.decode("utf-8", "replace").lstrip("\ufeff").split()
        if answer.status == 200 and token in lines:
            return None
        if answer.status != 200:
            return f"File: {FILE} answered {answer.status}."
        if any(_A_TOKEN.fullmatch(line) for line in lines):
            return f"File: {FILE} holds a token of another site or account."
        return f"File: {FILE} holds something else."

    def _meta(self, domain: str, token: str) -> str | None:
        answer = self._get(domain, "/")
        if isinstance(answer, str):
            return f"Tag: {answer}."
        if answer.status != 200:
            return f"Tag: the home page answered {answer.status}."
        tags = meta_tags(answer.body)
        if token in tags:
            return None
        if tags:
            return f"Tag: {TAG} on the home page holds a token of another site or account."
        return f"Tag: the head of the home page has no {TAG}."

    def _get(self, domain: str, path: str) -> Fetched | str:
        """Fetch from the domain, or, where no server answers under the bare name, from its www; else return why not."""
        answer = self._fetch(domain, domain, path)
        if isinstance(answer, Fetched) or answer not in _NO_SERVER or domain.startswith("www."):
            return answer
        other = self._fetch(f"www.{domain}", domain, path)
        return answer if isinstance(other, str) else other

    def _fetch(self, host: str, domain: str, path: str) -> Fetched | str:
        """Fetch from a host, following redirects only within its domain; returns the answer, or why there is none."""
        url = urljoin(self.origin(host), path)
        try:
            for _ in range(MOST_HOPS + 1):
                answer = self.outbound.request("GET", url, max_bytes=MOST_BYTES)
                location = answer.headers.get("location")
                if answer.status not in {301, 302, 303, 307, 308} or not location:
                    return answer
                before, url = urlsplit(url).scheme, urljoin(answer.url, location)
                if not same_site(urlsplit(url).hostname or "", domain):
                    return _WHY["redirect"]
                if before == "https" and urlsplit(url).scheme != "https":
                    return _WHY["plain"]
        except FetchFailed as failed:
            return _WHY.get(failed.why, failed.why)
        except (AddressRefused, ValueError):
            return "its address is not one we connect to"
        return "it redirects in a circle"


def same_site(host: str, domain: str) -> bool:
    """Whether `host` is the domain, with or without www, or a name below it."""
    bare = domain.removeprefix("www.")
    return host.lower().rstrip(".") in {bare, domain} or host.lower().endswith(f".{domain}") or host.lower() == f"www.{bare}"


def meta_tags(page: bytes) -> list[str]:
    """Return the contents of our meta tags in the head; what stands in the body may be a reader's comment."""
    try:
        root = lxml.html.document_fromstring(page[:MOST_BYTES], parser=lxml.html.HTMLParser(no_network=True, huge_tree=False))
    except (lxml.etree.LxmlError, ValueError):
        return []
    head = root.find("head")
    tags = [] if head is None else list(head.iterchildren("meta"))
    return [tag.get("content", "").strip() for tag in tags if tag.get("name", "").strip().lower() == TAG]
