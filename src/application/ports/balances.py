"""Read models of the ledger's accounts: what they hold, and how it came about."""

from collections.abc import Collection, Mapping
from typing import Protocol

from application.ports.queries import Page
from domain.ledger import Account


class AccountQueries(Protocol):
    """A malformed cursor raises InvalidRequest("cursor_invalid")."""

    async def balances(self, accounts: Collection[Account]) -> Mapping[Account, int]:
        """Credits minus debits of each, all of one moment."""
        ...

    async def account(self, account_id: int) -> Account:
        """The account with this id. Raises NotFound."""
        ...

    async def history(self, account: Account, *, cursor: str | None, limit: int) -> Page:
        """The account's rows, newest first, in the order in which they are rolled up: a row that is shown never moves,
        and neither does ``balance_after``. So one shows once no open transaction can precede it any more, which is
        moments after its commit.

        Each is ``{"idem_key", "fact", "about", "order_id", "amount", "balance_after", "currency", "channel_date",
        "posting_date", "created_at"}``: ``amount`` signed (credits are positive), ``order_id`` that of the payment,
        refund or held money that it is about.
        """
        ...
