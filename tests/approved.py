"""A settlement that waits to be paid, as sweep and approval leave it: 100.00 swept, a fee of 1.00."""

from datetime import datetime, timedelta
from typing import Any

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Ids, Vault, payee_context
from domain.account_entries import AccountEntry, EntryKind
from domain.account_postings import booked
from domain.channels import Mode
from domain.ledger import Account, AccountKind
from domain.merchants import BankAccount
from domain.money import Money
from domain.numbers import channel_number
from domain.payouts import PayeeKind
from domain.settlement_postings import settlement_created
from domain.settlements import Rail, Settlement, SettlementOrigin, Source

KINDS = {Rail.ALIPAY: PayeeKind.ALIPAY_LOGIN, Rail.WECHAT: PayeeKind.WECHAT_OPENID, Rail.MANUAL: PayeeKind.BANK}
PAYEES = {Rail.ALIPAY: "cafe@example.com", Rail.WECHAT: "o-MYE42l80oelYMDE34nYD456Xoy", Rail.MANUAL: "6225880123456789"}


async def approved(
    unit_of_work: UnitOfWorkFactory,
    vault: Vault,
    ids: Ids,
    now: datetime,
    *,
    merchant_id: str,
    source: Source,
    **payee: Any,
) -> Settlement:
    """As it is stored."""
    rail = source.rail
    sealed = vault.seal(payee_context(merchant_id), PAYEES[rail].encode())
    asked = {"holder": "张三", "bank": "招商银行" if rail is Rail.MANUAL else "", "kind": KINDS[rail]} | payee
    account = BankAccount(sealed=sealed, last4="6789", changed_at=now - timedelta(days=2), **asked)
    settlement = Settlement(
        id=ids.new("stl"),
        merchant_id=merchant_id,
        mode=Mode.TEST,
        number=channel_number(ids.new("num").removeprefix("num_")),
        origin=SettlementOrigin.AUTOMATIC,
        swept=Money(10_000),
        amount=Money(10_000),
        fee=Money(100),
        lines=1,
        created_at=now,
    ).created(now)
    available = Account(AccountKind.MERCHANT_AVAILABLE, merchant_id, Mode.TEST, "CNY")
    brought = AccountEntry(
        id=ids.new("ent"),
        kind=EntryKind.CREDIT,
        merchant_id=merchant_id,
        mode=Mode.TEST,
        amount=settlement.swept,
        reason="what is to be settled",
        made_by="opr_1",
        created_at=now,
    )
    async with unit_of_work() as uow:
        await uow.ledger.post(booked(brought))
        await uow.entries.add(brought)
        await uow.ledger.guard(available)
        await uow.sweeps.sweep(available, settlement.id)
        await uow.settlements.add(settlement)
        await uow.ledger.post(settlement_created(settlement))
    async with unit_of_work() as uow:
        standing = (await uow.settlements.lock(settlement.id)).approved("opr_1", account, source, now)
        await uow.settlements.save(standing)
    async with unit_of_work() as uow:
        return await uow.settlements.get(settlement.id)
