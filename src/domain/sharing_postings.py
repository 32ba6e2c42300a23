"""What shares post, in direct mode, exactly as BOOKS.md tabulates it (debit → credit)."""

from domain.bookkeeping import BASIC
from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind, Leg, Transfer, transfers_of
from domain.share_returns import ShareReturn
from domain.shares import Share
from domain.sharing import PartResult


def shared(share: Share) -> tuple[Transfer, ...]:
    """Each part that its receiver got. DO → DH (amount). The platform's own part besides: CR → SFD (the service fee
    that is due for this payment), CR → FI (the rest)."""
    assert share.finished_at is not None
    lines: list[Leg] = []
    for n, part in enumerate(share.parts):
        if part.result is not PartResult.SUCCEEDED:
            continue
        held, owed = _direct(share.account_id, share.merchant_id, share.mode, part.amount.currency)
        lines.append((f"{n}:out", owed, held, part.amount))
        if part.platform_account_id is not None:
            receivable, due, income = _platform(
                part.platform_account_id, share.merchant_id, share.mode, part.amount.currency
            )
            lines.append((f"{n}:fee", receivable, due, part.to_fee))
            lines.append((f"{n}:income", receivable, income, part.amount - part.to_fee))
    return transfers_of(f"share:{share.id}", "shared", share.id, share.finished_at, *lines)


def share_returned(returned: ShareReturn) -> tuple[Transfer, ...]:
    """The same reversed, for what came back: DH → DO; of the platform's part SFD → CR and FI → CR."""
    assert returned.returned_at is not None
    currency = returned.amount.currency
    held, owed = _direct(returned.account_id, returned.merchant_id, returned.mode, currency)
    lines: list[Leg] = [("in", held, owed, returned.amount)]
    if returned.platform_account_id is not None:
        receivable, due, income = _platform(returned.platform_account_id, returned.merchant_id, returned.mode, currency)
        lines.append(("fee", due, receivable, returned.from_fee))
        lines.append(("income", income, receivable, returned.amount - returned.from_fee))
    return transfers_of(f"share_return:{returned.id}", "share_returned", returned.id, returned.returned_at, *lines)


def _direct(account_id: str, merchant_id: str, mode: Mode, currency: str) -> tuple[Account, Account]:
    return (
        Account(AccountKind.DIRECT_HELD, account_id, mode, currency),
        Account(AccountKind.DIRECT_OWED, merchant_id, mode, currency),
    )


def _platform(account_id: str, merchant_id: str, mode: Mode, currency: str) -> tuple[Account, Account, Account]:
    return (
        Account(AccountKind.CHANNEL_RECEIVABLE, account_id, mode, currency, BASIC),
        Account(AccountKind.SERVICE_FEE_DUE, merchant_id, mode, currency),
        Account(AccountKind.FEE_INCOME, PLATFORM, mode, currency),
    )
