"""The family of errors; each knows whom it is about and carries a stable reason code.

    SyndicatorError
    ├── ConfigError            a setting or feed file is wrong; names file and field
    ├── InvalidRequest         something from outside does not fit; names the field
    │   ├── Malformed          it cannot even be read, such as JSON that is none
    │   ├── WrongMediaType     it is of a kind that is not taken here
    │   ├── TooLarge           it is larger than the settings allow
    │   ├── InvalidForm        several fields do not fit; `faults` says of each why
    │   └── IntakeError        a story could not be read from its source
    ├── NotFound               there is no such thing, or the asker may not know of it
    │   ├── StoryNotFound
    │   └── FeedNotFound
    ├── Conflict               the thing asked contradicts what already happened
    │   ├── StoryKilled
    │   └── StillRunning       the same request is being carried out just now
    ├── NotReady               what was asked for is being made; asking again soon will help
    ├── StorageAway            the database or the disk does not do its part just now; nothing was half done
    │   └── StorageFull        because there is no room
    ├── TooManyRequests        more was asked than the settings allow; says when to come back
    ├── AccessDenied           the gate said no; `decision` says why
    ├── TooManyTries           somebody guesses, or asks for too many letters; `wait_seconds` says how long to wait
    ├── MailRefused            a letter cannot be sent, and trying again will not help
    │   └── RecipientRefused   because the mail server takes nothing for that address
    ├── MailDeferred           a letter could not be sent this time
    │   └── MailServerAway     and it is our own mail server's fault
    ├── BackupFailed           a backup cannot be made or brought back
    ├── AddressRefused         an address somebody else chose is not one we connect to
    └── FetchFailed            such an address gave no answer we could take; `why` is a fixed word

Statuses are not known here: `web/problems.py` maps a family to its HTTP answer.
"""

from __future__ import annotations

from syndicator.reasons import Reason


class SyndicatorError(Exception):
    """The root; `reason` is the stable code a partner's script may rely on."""

    reason: Reason = Reason.INVALID_REQUEST
    retry_after_seconds: float | None = None  # when asking again may help


class ConfigError(SyndicatorError):
    """A wrong setting. The message starts with the file and the key."""


class InvalidRequest(SyndicatorError):
    """Something from outside does not fit; `field` names the part, as its writer spelled it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Malformed(InvalidRequest):
    """It cannot even be read."""


class WrongMediaType(InvalidRequest):
    """It is of another kind than `wanted`, a media type."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"the body must be sent as {wanted}", "Content-Type")
        self.wanted = wanted


class TooLarge(InvalidRequest):
    """It is larger than the settings allow."""


class InvalidForm(InvalidRequest):
    """Several fields do not fit. `faults` says what is wrong with each, in words for the person at the form."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(f"{field}: {words}" for field, words in faults.items()), next(iter(faults), None))
        self.faults = faults


class IntakeError(InvalidRequest):
    """A story could not be read; `origin` is the path or URL it should have come from."""

    def __init__(self, origin: str, message: str) -> None:
        super().__init__(f"{origin}: {message}")
        self.origin = origin


class NotFound(SyndicatorError):
    """No such thing, as far as the asker may know."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class StoryNotFound(NotFound):
    reason = Reason.UNKNOWN_STORY

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there is no story {wanted!r}")
        self.wanted = wanted


class FeedNotFound(NotFound):
    reason = Reason.UNKNOWN_FEED

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no feed {name!r}")
        self.name = name


class Conflict(SyndicatorError):
    """The thing asked contradicts what already happened."""

    reason = Reason.CONFLICT


class StoryKilled(Conflict):
    reason = Reason.KILLED

    def __init__(self, uri: str) -> None:
        super().__init__(f"story {uri} has been killed; a killed story is never changed or brought back")
        self.uri = uri


class StillRunning(Conflict):
    """The same request, by its Idempotency-Key, is being carried out just now."""

    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("this request is being carried out just now; ask again for its answer")


class NotReady(SyndicatorError):
    """What was asked for is being made."""

    retry_after_seconds = 5


class StorageAway(SyndicatorError):
    """The database or the disk does not do its part just now."""

    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("what this needs cannot be read or stored just now; please come back")


class StorageFull(StorageAway):
    """There is no room to store anything."""

    retry_after_seconds = 60


class TooManyRequests(SyndicatorError):
    """More was asked than `policy`, the name of a limit, allows."""

    reason = Reason.RATE_LIMITED

    def __init__(self, retry_after_seconds: int, policy: str) -> None:
        super().__init__(f"the limit {policy!r} is spent; wait {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds
        self.policy = policy


class AccessDenied(SyndicatorError):
    """The gate said no."""

    def __init__(self, reason: Reason, message: str | None = None) -> None:
        super().__init__(message or reason.words)
        self.reason = reason


class TooManyTries(SyndicatorError):
    """Somebody guesses, or asks for too many letters."""

    reason = Reason.RATE_LIMITED

    def __init__(self, message: str, wait_seconds: int) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class MailRefused(SyndicatorError):
    """A letter cannot be sent, and trying again will not help. The message is fit to show in the desk."""


class RecipientRefused(MailRefused):
    """The mail server takes nothing for this address, now or later."""


class MailDeferred(SyndicatorError):
    """A letter could not be sent this time. The message is fit to show in the desk."""


class MailServerAway(MailDeferred):
    """Our own mail server cannot be used; whom the letter is for has nothing to do with it."""


class BackupFailed(SyndicatorError):
    """A backup cannot be made or brought back. The message says which file, and what stands in the way."""

    reason = Reason.CONFLICT


class AddressRefused(SyndicatorError):
    """An address is not one we connect to. The message is fit to show: it never tells what a name resolved to."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"address not allowed: {why}")
        self.url = url


class FetchFailed(SyndicatorError):
    """No answer could be had. `why` is one of timeout, dns, connect, tls, redirect, too-large, broken-answer; fit to show."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"could not fetch: {why}")
        self.url = url
        self.why = why
