"""The stable reason codes of the access gate and of problem documents, and the words people read for each.

Codes are contract: they are never renamed. The words may be improved at any time.
"""

from enum import StrEnum


class Reason(StrEnum):
    OK = "ok"
    EMBARGOED = "embargoed"
    WITHHELD = "withheld"
    KILLED = "killed"
    TAKEN_DOWN = "taken_down"
    EXPIRED = "expired"
    NOT_FOR_SYNDICATION = "not_for_syndication"
    LICENSE_REQUIRED = "license_required"
    SIGN_IN_REQUIRED = "sign_in_required"
    NOT_ELIGIBLE = "not_eligible"
    APPLICATION_PENDING = "application_pending"
    ELIGIBILITY_EXPIRED = "eligibility_expired"
    SUSPENDED = "suspended"
    TERMS_NOT_ACCEPTED = "terms_not_accepted"
    FEED_NOT_GRANTED = "feed_not_granted"
    SCOPE_MISSING = "scope_missing"
    UNKNOWN_STORY = "unknown_story"
    UNKNOWN_FEED = "unknown_feed"
    RATE_LIMITED = "rate_limited"
    INVALID_REQUEST = "invalid_request"
    CONFLICT = "conflict"

    @property
    def words(self) -> str:
        """Say the reason to a person, in one sentence."""
        return _WORDS[self]


_WORDS = {
    Reason.OK: "You may have this story.",
    Reason.EMBARGOED: "This story is under embargo and is not available yet.",
    Reason.WITHHELD: "This story is being withheld by the newsroom.",
    Reason.KILLED: "This story has been killed: it must not be used, and copies must be removed.",
    Reason.TAKEN_DOWN: "This story has been taken down by the newsroom; please remove copies.",
    Reason.EXPIRED: "The time in which this story could be used is over.",
    Reason.NOT_FOR_SYNDICATION: "This story is not for syndication.",
    Reason.LICENSE_REQUIRED: "This story needs a license agreement; please write to the licensing team.",
    Reason.SIGN_IN_REQUIRED: "Only approved publishers may have this: send an API key or a feed token.",
    Reason.NOT_ELIGIBLE: "This publisher has not been approved to take stories.",
    Reason.APPLICATION_PENDING: "This publisher's application has not been decided yet.",
    Reason.ELIGIBILITY_EXPIRED: "This publisher's approval has run out and needs to be renewed.",
    Reason.SUSPENDED: "This publisher is suspended; please write to the licensing team.",
    Reason.TERMS_NOT_ACCEPTED: "A member of this publisher must accept the current terms first.",
    Reason.FEED_NOT_GRANTED: "This publisher or token does not cover this feed.",
    Reason.SCOPE_MISSING: "This key does not have the scope that the request needs.",
    Reason.UNKNOWN_STORY: "There is no such story.",
    Reason.UNKNOWN_FEED: "There is no such feed.",
    Reason.RATE_LIMITED: "Too many requests; please wait as Retry-After says.",
    Reason.INVALID_REQUEST: "The request is not one this service understands.",
    Reason.CONFLICT: "The request contradicts what has already happened.",
}
