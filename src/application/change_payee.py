"""Where a merchant's payouts go, a bank or a channel: one person proposes, another approves."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, payee_context
from application.propose import Propose
from domain.actors import Actor, changed
from domain.errors import InvalidRequest
from domain.merchants import BankAccount
from domain.payouts import PayeeKind
from domain.proposals import Proposal

CHANGE_PAYEE = "merchant.change_payee"
APPROVES = "merchants.approve_payee"
_FORMS = {
    # Cards have 12 to 19 digits (ISO/IEC 7812), company accounts of Chinese banks up to 32.
    PayeeKind.BANK: re.compile(r"[0-9]{6,32}"),
    PayeeKind.ALIPAY_USER: re.compile(r"2088[0-9]{12}"),
    PayeeKind.ALIPAY_LOGIN: re.compile(r"[^@]+@[^@]+\.[^@]+|[0-9+-]{6,20}"),
    PayeeKind.ALIPAY_OPEN: re.compile(r"[0-9A-Za-z_-]{8,128}"),
    PayeeKind.WECHAT_OPENID: re.compile(r"[0-9A-Za-z_-]{8,64}"),
}


@dataclass(frozen=True, slots=True)
class ProposePayee:
    """Ask for another payee. The number is sealed before it is stored anywhere; who decides sees its end."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose
    vault: Vault

    async def __call__(
        self, actor: Actor, merchant_id: str, *, kind: PayeeKind = PayeeKind.BANK, holder: str, bank: str, number: str
    ) -> Proposal:
        digits = number.replace(" ", "")
        if not _FORMS[kind].fullmatch(digits):
            raise InvalidRequest(
                f"not the form of a payee of this kind ({kind})", code="payout_account_invalid", pointer="/number"
            )
        if bool(bank) != (kind is PayeeKind.BANK):
            raise InvalidRequest(
                "a bank account has a bank, and nothing else has", code="payout_account_invalid", pointer="/bank"
            )
        sealed = self.vault.seal(payee_context(merchant_id), digits.encode())
        payload = {
            "kind": str(kind),
            "holder": holder,
            "bank": bank,
            "last4": digits[-4:],
            "sealed": base64.b64encode(sealed).decode(),
        }
        async with self.unit_of_work() as uow:
            merchant = await uow.merchants.get(merchant_id)
            return await self.propose.within(
                uow,
                actor,
                CHANGE_PAYEE,
                payload,
                summary=f"Pay {merchant.name} to {holder}, {bank or kind}, …{digits[-4:]}",
                permission=APPROVES,
                merchant_id=merchant_id,
            )


@dataclass(frozen=True, slots=True)
class ChangePayee:
    """The executor. ``changed_at`` is the moment of approval: payouts wait some time after it."""

    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        assert proposal.merchant_id is not None
        asked, now = proposal.payload, self.clock.now()
        before = await uow.merchants.lock(proposal.merchant_id)
        payee = BankAccount(
            holder=asked["holder"],
            bank=asked["bank"],
            sealed=base64.b64decode(asked["sealed"]),
            last4=asked["last4"],
            changed_at=now,
            kind=PayeeKind(asked.get("kind", PayeeKind.BANK)),
        )
        after = replace(before, payee=payee)
        await uow.merchants.save(after)
        was, is_ = changed(before.snapshot(), after.snapshot())
        await uow.audit.add(
            actor.did(
                "merchant.payee_changed",
                after.id,
                id=self.ids.new("aud"),
                at=now,
                merchant_id=after.id,
                before=was,
                after=is_,
            )
        )
        return {"payee": payee.snapshot()}
