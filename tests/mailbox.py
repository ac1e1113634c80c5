"""A real SMTP server on loopback that keeps what it is sent, and refuses when told to."""

from __future__ import annotations

import socket
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class _OnFreePort(Controller):
    """A controller that knocks at the port it was given, not at port 0."""

    @property
    def found_port(self) -> int:
        server: Any = self.server
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _trigger_server(self) -> None:
        with socket.create_connection(("127.0.0.1", self.found_port), 5) as knock:
            knock.recv(1024)


class Mailbox:
    """Use it with `with`. `refuse` gives an address the answer to its RCPT, `sender_answer` is that to every MAIL, `after_data`
    that to every message. With `tls` it offers STARTTLS."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.raw: list[bytes] = []
        self.recipients: list[str] = []
        self.refuse: dict[str, str] = {}
        self.sender_answer = self.after_data = "250 OK"
        self._controller = _OnFreePort(self, hostname="127.0.0.1", port=0, tls_context=tls)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.found_port}"

    @property
    def messages(self) -> list[EmailMessage]:
        return [read_message(raw) for raw in self.raw]

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender_answer.startswith("2"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        self.recipients += envelope.rcpt_tos
        return self.after_data

    def __enter__(self) -> Mailbox:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._controller.stop()


def read_message(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message
