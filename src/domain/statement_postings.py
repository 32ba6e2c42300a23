"""What a statement posts: the channel's fees, its payments to the bank, opening balances (BOOKS.md, Facts)."""

from dataclasses import dataclass
from datetime import date

from domain.bookkeeping import BASIC
from domain.channels import ChannelAccount, FundMode
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import CNY, Money


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger accounts that one day of one channel account touches.

    Collect mode: the receivable of a fund account. Direct mode: the memorandum pair, where only what concerns our
    payments is kept.
    """

    account: ChannelAccount
    day: date

    @property
    def about(self) -> str:
        """What the transfers of this day name as their cause."""
        return f"statement:{self.account.id}:{self.day}"

    def cost(self, charged: int, *, posted: int, n: int) -> tuple[Transfer, ...]:
        """The channel's fees of the day, less what was given back, as its bill in force says: CC → CR.

        ``charged`` is that sum, ``posted`` what earlier runs posted of it in ``n`` steps: the rest is posted now, in
        the other direction where a bill published anew says less.
        """
        if self.account.fund_mode is FundMode.COLLECT:
            expense, holding = self._account(AccountKind.CHANNEL_COST, PLATFORM), self.receivable(BASIC)
        else:
            assert self.account.merchant_id is not None
            expense = self._account(AccountKind.DIRECT_OWED, self.account.merchant_id)
            holding = self._account(AccountKind.DIRECT_HELD, self.account.id)
        return self._between("channel_cost", f"cost:{n}", expense, holding, charged - posted)

    def holds(self, account: Account) -> bool:
        """Whether it is the side of ``cost`` that stands for what the channel holds."""
        return account.kind in (AccountKind.CHANNEL_RECEIVABLE, AccountKind.DIRECT_HELD)

    def bank_payout(self, flow_id: str, amount: int) -> tuple[Transfer, ...]:
        """The channel pays the bank (BT → CR), or the bank fills the account up (CR → BT). ``amount`` is signed as on
        the bill: out of the account negative."""
        transit = self._account(AccountKind.BANK_TRANSIT, PLATFORM)
        return self._between("bank_payout", f"bank:{flow_id}", transit, self.receivable(BASIC), -amount)

    def opening(self, fund: str, balance: int) -> tuple[Transfer, ...]:
        """What the account held before we knew it: CR → OPEN."""
        counterpart = self._account(AccountKind.OPENING, PLATFORM)
        return self._between("opening", f"opening:{fund}", self.receivable(fund), counterpart, balance)

    def adjusted(self, key: str, amount: int, fund: str = BASIC) -> tuple[Transfer, ...]:
        """A difference that somebody decided to bear (ADJ → CR) or to take (CR → ADJ). Signed: what the channel holds
        more than our books say."""
        other = self._account(AccountKind.ADJUSTMENT, PLATFORM)
        return self._between("difference_adjusted", f"difference:{key}", self.receivable(fund), other, amount)

    def receivable(self, fund: str) -> Account:
        return self._account(AccountKind.CHANNEL_RECEIVABLE, self.account.id, fund)

    def _account(self, kind: AccountKind, owner: str, fund: str = "") -> Account:
        return Account(kind, owner, self.account.mode, CNY, fund)

    def _between(self, fact: str, part: str, debit: Account, credit: Account, amount: int) -> tuple[Transfer, ...]:
        if not amount:
            return ()
        if amount < 0:
            debit, credit = credit, debit
        transfer = Transfer(
            idem_key=f"{self.about}:{part}",
            fact=fact,
            debit=debit,
            credit=credit,
            amount=Money(abs(amount), CNY),
            about=self.about,
            channel_date=self.day,
        )
        return (transfer,)
