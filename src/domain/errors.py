"""Every expected failure, in one tree, grouped by what the caller can do about it.

::

    PitayaError
    ├── NotFound              no such thing (or not yours); fix the reference
    ├── InvalidRequest        can never succeed; fix the request
    │   └── BillInvalid       a statement file that cannot be believed, and the line at fault
    ├── Unauthenticated       we do not know who is asking
    ├── Forbidden             we know, and the answer is no
    ├── Conflict              well formed, but the state says no; look before you repeat
    │   ├── IllegalTransition
    │   └── InProgress        the same call is running now; repeat it in a moment
    ├── RateLimited           too often; repeat it after a while
    ├── DatabaseUnavailable   our database did not answer or a lock did not come; nothing was written: safe to repeat
    ├── NoticeRejected        a channel notice that we do not believe
    └── ChannelError          Alipay or WeChat Pay, not us
        ├── ChannelRejected   it said no: final
        │   └── AccountRefused  to this channel account, whatever was asked: another may serve
        ├── ChannelUnavailable  it did not hear us: safe to repeat
        └── OutcomeUnknown    it may have heard us: query, never repeat under a new number

``code`` is stable and public (docs/errors.md); the message is for people and may change.
"""


class PitayaError(Exception):
    """An expected failure. ``code`` is part of our contract with callers, ``pointer`` names the field at fault."""

    default_code = "error"

    def __init__(self, message: str = "", *, code: str | None = None, pointer: str | None = None) -> None:
        super().__init__(message or code or self.default_code)
        self.code = code or self.default_code
        self.pointer = pointer


class NotFound(PitayaError):
    default_code = "not_found"


class InvalidRequest(PitayaError):
    default_code = "invalid_request"


class BillInvalid(InvalidRequest):
    """A statement file that is torn, changed, foreign or does not add up. ``line`` counts from 1; 0: the whole file."""

    default_code = "bill_invalid"

    def __init__(self, message: str, *, line: int = 0, code: str | None = None) -> None:
        super().__init__(f"line {line}: {message}" if line else message, code=code)
        self.line = line


class Unauthenticated(PitayaError):
    default_code = "unauthenticated"


class Forbidden(PitayaError):
    default_code = "forbidden"


class Conflict(PitayaError):
    default_code = "conflict"


class IllegalTransition(Conflict):
    """A state machine was asked for an edge that its table does not have."""

    default_code = "illegal_transition"

    def __init__(self, noun: str, current: str, wanted: str) -> None:
        super().__init__(f"{noun} cannot go from {current} to {wanted}")


class InProgress(Conflict):
    """The same call is still running. ``retry_after_seconds`` is when to ask again."""

    default_code = "in_progress"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after_seconds: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(PitayaError):
    """Too often. ``retry_after_seconds`` is when to try again."""

    default_code = "rate_limited"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after_seconds: int = 60) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class DatabaseUnavailable(PitayaError):
    """The unit of work was rolled back: no connection, no lock in time, or a deadlock. Safe to repeat."""

    default_code = "temporarily_unavailable"


class ChannelError(PitayaError):
    default_code = "channel_error"


class ChannelRejected(ChannelError):
    default_code = "channel_rejected"


class AccountRefused(ChannelRejected):
    """A definite no that is about the channel account (blocked, without permission), not about this payment."""


class ChannelUnavailable(ChannelError):
    default_code = "channel_unavailable"


class OutcomeUnknown(ChannelError):
    default_code = "outcome_unknown"


class NoticeRejected(PitayaError):
    """A channel notice that we do not believe: bad signature, stale, malformed. Nothing may follow from it."""

    default_code = "notice_rejected"
