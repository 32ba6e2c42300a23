"""Routing: which channel account a merchant's next attempt by a method goes through, and what is known of their health.

Health is kept for an account and a method together: a channel may refuse one method of an account and serve the rest.
It only orders the accounts. A merchant that has a single account is never refused because of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from domain.attempts import Attempt
from domain.channels import Access, ChannelAccount, FundMode, Method
from domain.errors import AccountRefused, ChannelError, ChannelUnavailable

# Failures within this time of the first one count together; as many as this and the account is left alone.
WINDOW = timedelta(seconds=60)
TOLERATED = 3
# How long it is left alone: longer each time it fails its trial, up to the last.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 600))
# Whoever tries a paused account again has this long before somebody else may.
TRIAL = timedelta(seconds=30)
# Why an attempt failed, where that is its account's fault and not the payment's.
ACCOUNT_REFUSED = "account_refused"
_OF_ACCOUNT = frozenset({ACCOUNT_REFUSED, ChannelUnavailable.default_code})
# So many attempts of one order by one method may fail for their accounts' sake; then we stop trying.
MOST_REFUSALS = 5


class Trouble(StrEnum):
    """What went wrong when an attempt was opened."""

    REFUSED = "refused"  # a definite no to this account, whatever the payment
    OUTAGE = "outage"  # the channel was not there, or nobody knows what it did


class Condition(StrEnum):
    WELL = "well"
    TRIAL = "trial"  # its pause is over: one attempt may find out
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What went wrong of late with one account and method. No row: nothing did.

    ``failures`` are those since ``since``; ``paused_until`` is set while it is left alone, and stays, once past, until
    a trial goes well; ``pauses`` counts them.
    """

    account_id: str
    method: Method
    since: datetime
    failures: int = 0
    pauses: int = 0
    paused_until: datetime | None = None
    reason: str = ""

    def at(self, now: datetime) -> Condition:
        if self.paused_until is None:
            return Condition.WELL
        return Condition.PAUSED if now < self.paused_until else Condition.TRIAL

    def failed(self, trouble: Trouble, reason: str, now: datetime) -> Self:
        """One more failure. A refusal pauses at once, an outage when it goes on; so does any failed trial."""
        within = now < self.since + WINDOW
        failures = self.failures + 1 if within else 1
        noted = replace(self, failures=failures, since=self.since if within else now, reason=reason[:200])
        if self.at(now) is Condition.PAUSED:
            return noted  # it was under way when the pause began, or all others were worse
        if trouble is Trouble.REFUSED or self.at(now) is Condition.TRIAL or failures >= TOLERATED:
            return noted._pause(now)
        return noted

    def tried(self, now: datetime) -> Self:
        """Somebody tries it again: others leave it alone meanwhile."""
        return replace(self, paused_until=now + TRIAL)

    def _pause(self, now: datetime) -> Self:
        pause = PAUSES[min(self.pauses, len(PAUSES) - 1)]
        return replace(self, pauses=self.pauses + 1, paused_until=now + pause)


@dataclass(frozen=True, slots=True)
class Serving:
    """An account that may serve a merchant, with how to sign for it and what is known of its health, by method."""

    access: Access
    health: Sequence[Health] = ()

    @property
    def account(self) -> ChannelAccount:
        return self.access.account

    def health_of(self, method: Method) -> Health | None:
        return next((health for health in self.health if health.method is method), None)

    def condition(self, method: Method, now: datetime) -> Condition:
        health = self.health_of(method)
        return Condition.WELL if health is None else health.at(now)


def failure(no: ChannelError) -> str:
    """What an attempt has failed of, in a word that tells the account's fault from the payment's."""
    return ACCOUNT_REFUSED if isinstance(no, AccountRefused) else no.code


def refusals(attempts: Sequence[Attempt], method: Method) -> Sequence[str]:
    """The accounts that attempts by this method have failed of, one entry an attempt."""
    return [each.account_id for each in attempts if each.method is method and each.failure in _OF_ACCOUNT]


def routes(
    serving: Sequence[Serving],
    method: Method,
    *,
    now: datetime,
    fund_modes: Collection[FundMode],
    refused_by: Sequence[str] = (),
    payer_app: str | None = None,
) -> Sequence[Serving]:
    """Where an attempt may go, best first; empty when nowhere.

    ``serving`` comes with a merchant's own accounts before the platform's, each by descending priority. That order
    stands, except that the paused come later, and accounts that have refused this order (``refused_by``, one entry a
    refusal) last: somebody is tried even when all are ill. One whose pause is over keeps its place, for whoever gets
    its trial. After MOST_REFUSALS nobody is tried any more. ``payer_app`` is the app that knows the payer: another
    one would not.
    """
    if len(refused_by) >= MOST_REFUSALS:
        return []
    able = [each for each in serving if method in each.account.methods and each.account.fund_mode in fund_modes]
    able = [each for each in able if payer_app in (None, each.access.paying_app)]

    def rank(each: Serving) -> tuple[bool, bool]:
        return each.account.id in refused_by, each.condition(method, now) is Condition.PAUSED

    return sorted(able, key=rank)
