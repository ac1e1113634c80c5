"""SFTP channel: each story, correction and kill as a file of its own in a folder of the partner's server.

The server must show the key that was pinned; another one stops the subscription and raises the alarm. A file is written under a
temporary name beside its place, flushed, then renamed, so that nobody ever sees half of one; the name is a function of the story
version, so a repeated delivery replaces its own file. Passwords and keys are in no log. Raises nothing for what a server does.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import paramiko
from paramiko.sftp import CMD_EXTENDED

from syndicator.border import SSH_PORT, Border
from syndicator.channels import Accepted, Deferred, Outcome, Parcel
from syndicator.channels.answers import least_wait_seconds
from syndicator.channels.options import HostKey, SftpOptions, fingerprint, read_host_keys
from syndicator.domain.stories import slug_of
from syndicator.errors import AddressRefused, FetchFailed, InvalidRequest
from syndicator.outbound import Outbound
from syndicator.render.formats import render_file

log = logging.getLogger(__name__)
SECONDS = 60.0  # for a whole conversation
STEP_SECONDS = 20.0
# What we agree to (RFC 9142 and the defaults of OpenSSH 9): nothing with SHA-1, CBC or short groups.
KEX = (
    *("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org"),
    *("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
    *("diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"),
)
CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256")


class HostKeyChanged(Exception):
    """The server shows a key that was not pinned; `shown` is its fingerprint."""

    def __init__(self, shown: str) -> None:
        super().__init__(shown)
        self.shown = shown


class NotTaken(Exception):
    """The server let us begin a file, and then did not take all of it."""


FAILURES = (HostKeyChanged, NotTaken, AddressRefused, InvalidRequest, FetchFailed, paramiko.SSHException, OSError, EOFError)


@dataclass(frozen=True, slots=True)
class Server:
    """Where an SFTP subscription leads. `host` is canonical, a literal without brackets."""

    place: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Sftp:
    """A ConversationChannel. A parcel's only secret is the password or the private key."""

    outbound: Outbound

    def party(self, parcel: Parcel) -> str:
        return urlsplit(parcel.endpoint).netloc.lower()

    def deliver(self, parcel: Parcel, at: datetime) -> Outcome:
        options = SftpOptions.model_validate(parcel.options)
        ending, content = render_file(options.format, parcel.entry, parcel.terms)
        name = file_name(options.name, parcel, ending)
        try:
            with log_in(self.outbound, parcel.endpoint, options, parcel.secrets[0]) as sftp:
                put(sftp, options.folder, name, content)
        except FAILURES as error:
            if isinstance(error, HostKeyChanged):
                log.error("alarm: host key changed delivery=%s host=%s shown=%s", parcel.uid, self.party(parcel), error.shown)
            why = told(error, options)
            return Deferred(why, least_wait_seconds(why), needs_person=isinstance(error, HostKeyChanged))
        where = "the folder that the user is let into" if options.folder == "." else options.folder
        return Accepted(f"the file {name} ({len(content):,} bytes) was written whole into {where}")


def check_folder(outbound: Outbound, endpoint: str, options: SftpOptions, secret: str) -> str:
    """Log in and look at the folder; returns what stands in the way in plain words, empty when nothing does."""
    try:
        with log_in(outbound, endpoint, options, secret) as sftp:
            sftp.stat(options.folder)
    except FAILURES as error:
        return told(error, options)
    return ""


def told(error: Exception, options: SftpOptions) -> str:
    """Say what went wrong, in words fit to show; nothing that the server wrote gets into them."""
    match error:
        case HostKeyChanged():
            return f"the server shows another host key than was pinned: {error.shown}"
        case NotTaken():
            return "the server did not take the whole file; its disk or the user's quota may be full"
        case AddressRefused() | InvalidRequest():
            return str(error)
        case FetchFailed():
            return error.why
        case paramiko.AuthenticationException():
            return "the server refuses the user name, password or key"
        case FileNotFoundError():
            return f"there is no folder {options.folder} on the server"
        case PermissionError():
            return f"the user may not write into {options.folder}"
        case TimeoutError():
            return "timeout"
    return "connection-lost"


def read_server(border: Border, endpoint: str) -> Server:
    """Read sftp://HOST[:PORT]; user, password and folder stand elsewhere. Raises AddressRefused."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or SSH_PORT
    except ValueError as error:
        raise AddressRefused(endpoint, "the host is not well-formed") from error
    if parts.scheme != "sftp" or parts.path.strip("/") or parts.query or parts.fragment or not parts.hostname:
        raise AddressRefused(endpoint, "it must be sftp:// and a host, at most with a port; the folder is an option")
    if "@" in parts.netloc:
        raise AddressRefused(endpoint, "it holds a user name or password")
    return Server(endpoint, border.check_place(endpoint, parts.hostname, port), port)


@contextmanager
def log_in(outbound: Outbound, endpoint: str, options: SftpOptions, secret: str) -> Iterator[paramiko.SFTPClient]:
    """Open an SFTP session on the server, once it has shown the pinned key and taken the secret.

    Raises HostKeyChanged, AddressRefused, FetchFailed, InvalidRequest for a key that is none, and what paramiko raises.
    """
    server = read_server(outbound, endpoint)
    pinned = read_host_keys(options.host_key)
    with outbound.connection(server.place, server.host, server.port, seconds=SECONDS) as connection:
        transport = paramiko.Transport(connection)
        try:
            _agree_on(transport, pinned)
            transport.start_client(timeout=STEP_SECONDS)
            shown = fingerprint(transport.get_remote_server_key().asbytes())
            if shown not in {key.fingerprint for key in pinned}:
                raise HostKeyChanged(shown)
            _authenticate(transport, options.user, secret)
            sftp = paramiko.SFTPClient.from_transport(transport)
            if sftp is None:
                raise paramiko.SSHException("no SFTP there")
            sftp.get_channel().settimeout(STEP_SECONDS)  # type: ignore[union-attr]
            yield sftp
        finally:
            transport.close()


def put(sftp: paramiko.SFTPClient, folder: str, name: str, content: bytes) -> None:
    """Write `content` as `folder/name`, whole or not at all. Raises OSError, NotTaken.

    Each piece waits for its answer: paramiko's pipelining loses those that say that the disk is full.
    """
    part, final = f"{folder}/.{name}.part", f"{folder}/{name}"
    with sftp.open(part, "wb") as file:
        try:
            file.write(content)
        except TimeoutError:
            raise
        except OSError as error:
            if sftp.get_channel().closed:  # type: ignore[union-attr]
                raise
            raise NotTaken from error
        _sync(sftp, file)
    try:
        sftp.posix_rename(part, final)
    except FileNotFoundError:
        raise
    except OSError:
        _rename_plainly(sftp, part, final, len(content))


def file_name(pattern: str, parcel: Parcel, ending: str) -> str:
    """Return the name of the story's file; `pattern` was checked by SftpOptions."""
    entry = parcel.entry
    return pattern.format(
        date=f"{entry.published.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        updated=f"{entry.updated.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        id=entry.public_id,
        version=entry.version,
        status=entry.status.value,
        slug=slug_of(entry.headline, 60) or "story",
        seq=parcel.seq,
        ext=ending,
    )


def read_private_key(text: str) -> paramiko.PKey:
    """Read a private key without passphrase, OpenSSH's form or PEM. Raises InvalidRequest, which tells nothing of it."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with suppress(paramiko.SSHException, ValueError, IndexError):
            return kind.from_private_key(io.StringIO(text))
    raise InvalidRequest("the private key cannot be read; it must be Ed25519, ECDSA or RSA, without a passphrase", "credential")


def _agree_on(transport: paramiko.Transport, pinned: tuple[HostKey, ...]) -> None:
    """Offer only what is safe, and ask for the pinned kind of key where it is known: a server may have several."""
    kinds = {key.kind for key in pinned}
    wanted = (
        KEY_TYPES if "" in kinds else [kind for kind in KEY_TYPES if kind in kinds or ("rsa-" in kind and "ssh-rsa" in kinds)]
    )
    chosen: Any = transport.get_security_options()
    chosen.kex = [each for each in KEX if each in chosen.kex]
    chosen.ciphers = [each for each in CIPHERS if each in chosen.ciphers]
    chosen.digests = [each for each in DIGESTS if each in chosen.digests]
    chosen.key_types = [each for each in wanted if each in chosen.key_types]


def _authenticate(transport: paramiko.Transport, user: str, secret: str) -> None:
    if secret.lstrip().startswith("-----BEGIN"):
        transport.auth_publickey(user, read_private_key(secret))
    else:
        transport.auth_password(user, secret)


def _sync(sftp: paramiko.SFTPClient, file: paramiko.SFTPFile) -> None:
    """Have the file written to disk where the server offers it (OpenSSH's PROTOCOL, 4.3); paramiko has no call for that."""
    with suppress(OSError):
        sftp._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)  # type: ignore[attr-defined]


def _rename_plainly(sftp: paramiko.SFTPClient, part: str, final: str, size: int) -> None:
    """Rename on a server without OpenSSH's rename. A file in the way is ours, since its name says which version it holds."""
    try:
        sftp.rename(part, final)
    except OSError:
        if sftp.stat(final).st_size != size:
            sftp.remove(final)
            sftp.rename(part, final)
        else:
            sftp.remove(part)
