"""Named places where a test kills the process. In production ``crashpoint`` does nothing."""

from collections.abc import Callable


def _nothing(_name: str) -> None:
    return None


_hook: Callable[[str], None] = _nothing

# A test holds this list against the source, and the source against the recovery tests.
CRASHPOINTS = (
    "order.before_commit",
    "order.after_commit",
    "attempt.after_intent",
    "attempt.after_channel",
    "attempt.after_stored",
    "charge.after_channel",
    "charge.after_stored",
    "reverse.before_channel",
    "reverse.after_channel",
    "notice.before_commit",
    "notice.after_commit",
    "outbox.claimed",
    "delivery.claimed",
    "delivery.sent",
    "poll.queried",
    "expiry.channel_closed",
    "expiry.closed",
    "refund.before_commit",
    "refund.after_commit",
    "refund.after_intent",
    "refund.after_channel",
    "refund.after_stored",
    "refund.queried",
    "share.after_intent",
    "share.after_channel",
    "share_return.after_intent",
    "share_return.after_channel",
    "applyment.after_intent",
    "applyment.after_channel",
    "payout.after_intent",
    "payout.after_channel",
    "release.before_commit",
    "release.after_commit",
    "settle.before_commit",
    "settle.after_commit",
    "statement.lines",
    "statement.before_commit",
    "statement.after_commit",
    "reconcile.before_commit",
    "reconcile.after_commit",
    "close.before_commit",
)


def crashpoint(name: str) -> None:
    """Let the hook act if this is the place it waits for."""
    _hook(name)


def install(hook: Callable[[str], None]) -> None:
    """Bootstrap installs the killer when PITAYA_CRASH names a place; simulations install their own."""
    global _hook  # noqa: PLW0603 - one process has one way to die
    _hook = hook
