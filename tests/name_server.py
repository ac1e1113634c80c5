"""A real name server on loopback that answers TXT questions from a dictionary, follows its own aliases, or stays silent.

with NameServer({"_syndicator-challenge.courier.example": ["token"]}) as names:
    names.resolver().resolve(…)
"""

from __future__ import annotations

import socket
import threading
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

TTL = 60


class NameServer:
    """`texts` holds the TXT values by name, `aliases` CNAMEs; both may be changed while it runs. `silent`: never answers."""

    def __init__(self, texts: dict[str, list[str]] | None = None, *, silent: bool = False) -> None:
        self.texts = texts or {}
        self.aliases: dict[str, str] = {}
        self.asked: list[str] = []
        self.silent = silent
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as goodbye:
            goodbye.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def resolver(self, lifetime: float = 5.0) -> dns.resolver.Resolver:
        """Return a resolver that asks this server and nobody else."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self._socket.getsockname()[1]
        resolver.lifetime = lifetime
        return resolver

    def _serve(self) -> None:
        while True:
            packet, client = self._socket.recvfrom(4096)
            if not packet:
                return
            if not self.silent:
                self._socket.sendto(self._answer(dns.message.from_wire(packet)).to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(name)
        if name in self.aliases:
            answer.answer.append(dns.rrset.from_text(question.name, TTL, "IN", "CNAME", f"{self.aliases[name]}."))
            name = self.aliases[name]
        values = self.texts.get(name, [])
        if question.rdtype == dns.rdatatype.TXT and values:
            quoted = [" ".join(f'"{value[at : at + 200]}"' for at in range(0, len(value) or 1, 200)) for value in values]
            answer.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", "TXT", *quoted))
        elif not answer.answer:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
