"""What people book, as operators meet it."""

from typing import Any

import httpx

from domain.ledger import PLATFORM, Account, AccountKind
from domain.money import Money
from domain.permissions import FINANCE, OPERATIONS, RISK
from tests.contracts.books import RECEIVABLE, transfer
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of


class Desk:
    """An office with a merchant that has 100.00 available, and two people of finance."""

    async def open(self) -> "Desk":
        self.office = Office()
        self.merchant_id = (await self.office.house.merchant()).merchant.id
        self.mina = await (await self.office.person("mina", FINANCE)).enter()
        self.chen = await (await self.office.person("chen", RISK)).enter()
        await self.give(AccountKind.MERCHANT_AVAILABLE, 10_000)
        return self

    async def give(self, kind: AccountKind, minor: int) -> None:
        async with self.office.house.database.unit_of_work() as uow:
            await uow.ledger.post([transfer(f"gift:{kind}", minor, credit=self.account(kind))])

    def account(self, kind: AccountKind, owner: str = "") -> Account:
        return Account(kind, owner or self.merchant_id, RECEIVABLE.mode, "CNY")

    async def has(self, kind: AccountKind, owner: str = "") -> int:
        async with self.office.house.database.unit_of_work() as uow:
            return await uow.ledger.balance(self.account(kind, owner))

    async def freeze(self, word: str, amount: int, who: Person | None = None) -> httpx.Response:
        body = {"mode": "test", "amount": amount, "reason": "complaint 7"}
        return await (who or self.mina).call("POST", f"/merchants/{self.merchant_id}/{word}", body)

    async def propose(self, kind: str, amount: int, **fields: Any) -> httpx.Response:
        body = {"kind": kind, "mode": "test", "amount": amount, "reason": "as agreed", "merchant_id": self.merchant_id}
        return await self.mina.call("POST", "/account_entries", body | fields)

    async def approve(self, proposal: httpx.Response) -> httpx.Response:
        assert proposal.status_code == 201, proposal.text
        return await self.chen.call("POST", f"/proposals/{proposal.json()['id']}/approve")


async def test_an_amount_is_frozen_and_free_again_and_never_more_than_is_there() -> None:
    desk = await Desk().open()
    frozen = await desk.freeze("freeze", 4_000)
    assert (frozen.status_code, frozen.json()["kind"], frozen.json()["reason"]) == (201, "freeze", "complaint 7")
    assert (await desk.has(AccountKind.MERCHANT_AVAILABLE), await desk.has(AccountKind.MERCHANT_FROZEN)) == (
        6_000,
        4_000,
    )
    refused = await desk.freeze("freeze", 6_001)
    assert (refused.status_code, code_of(refused)) == (409, "balance_too_low")
    assert code_of(await desk.freeze("unfreeze", 4_001)) == "balance_too_low"
    assert (await desk.freeze("unfreeze", 4_000)).status_code == 201
    assert (await desk.has(AccountKind.MERCHANT_AVAILABLE), await desk.has(AccountKind.MERCHANT_FROZEN)) == (10_000, 0)
    olga = await (await desk.office.person("olga", OPERATIONS)).enter()
    assert code_of(await desk.freeze("freeze", 1, olga)) == "permission_missing"
    told = [
        row.event.type for row in desk.office.house.database.tables.events.committed.values() if row.event.announced
    ]
    assert told[-2:] == ["balance.frozen", "balance.unfrozen"]


async def test_a_top_up_takes_two_people_and_its_bank_reference_is_booked_once() -> None:
    desk = await Desk().open()
    first, second = [await desk.propose("top_up", 500, bank_reference="B-1") for _ in range(2)]
    assert code_of(await desk.mina.call("POST", f"/proposals/{first.json()['id']}/approve")) == "not_on_yourself"
    assert await desk.has(AccountKind.MERCHANT_AVAILABLE) == 10_000, "nothing is booked when it is proposed"
    done = await desk.approve(first)
    assert (done.status_code, done.json()["status"]) == (200, "executed")
    assert await desk.has(AccountKind.MERCHANT_AVAILABLE) == 10_500
    assert await desk.has(AccountKind.BANK, PLATFORM) == -500
    assert code_of(await desk.approve(second)) == "bank_reference_taken"
    assert code_of(await desk.propose("top_up", 500, bank_reference="B-1")) == "bank_reference_taken"
    (entry,) = (await desk.mina.call("GET", "/lists/account_entries?mode=test")).json()["data"]
    assert (entry["kind"], entry["amount"], entry["bank_reference"]) == ("top_up", 500, "B-1")


async def test_what_comes_in_repays_a_debt_first() -> None:
    desk = await Desk().open()
    debt = desk.account(AccountKind.MERCHANT_DEBT)
    async with desk.office.house.database.unit_of_work() as uow:
        await uow.ledger.post([transfer("debt", 300, debit=debt, credit=RECEIVABLE)])
    await desk.approve(await desk.propose("top_up", 200, bank_reference="B-1"))
    assert (await desk.has(AccountKind.MERCHANT_DEBT), await desk.has(AccountKind.MERCHANT_AVAILABLE)) == (-100, 10_000)
    done = await desk.approve(await desk.propose("credit", 250))
    assert done.json()["result"]["repaid"] == 100
    assert (await desk.has(AccountKind.MERCHANT_DEBT), await desk.has(AccountKind.MERCHANT_AVAILABLE)) == (0, 10_150)


async def test_an_adjustment_is_borne_by_the_balance_when_it_is_decided() -> None:
    desk = await Desk().open()
    assert code_of(await desk.propose("debit", 10_001)) == "balance_too_low"
    waiting = await desk.propose("debit", 9_000)
    await desk.freeze("freeze", 2_000)
    assert code_of(await desk.approve(waiting)) == "balance_too_low"
    await desk.freeze("unfreeze", 2_000)
    assert (await desk.approve(waiting)).status_code == 200, "it stayed open"
    assert await desk.has(AccountKind.MERCHANT_AVAILABLE) == 1_000
    assert await desk.has(AccountKind.ADJUSTMENT, PLATFORM) == 9_000


async def test_a_bank_arrival_is_the_banks_alone() -> None:
    desk = await Desk().open()
    proposal = await desk.propose("bank_arrival", 700, merchant_id=None, bank_reference="B-9")
    assert (await desk.approve(proposal)).status_code == 200
    assert (await desk.has(AccountKind.BANK, PLATFORM), await desk.has(AccountKind.BANK_TRANSIT, PLATFORM)) == (
        -700,
        700,
    )
    entry = next(iter(desk.office.house.database.tables.entries.committed.values()))
    assert (entry.merchant_id, entry.amount) == (None, Money(700))
    for amiss in ({"bank_reference": "B-8"}, {"merchant_id": None}):
        assert code_of(await desk.propose("bank_arrival", 1, **amiss)) == "entry_invalid"
    assert code_of(await desk.propose("top_up", 1)) == "entry_invalid"
    assert (await desk.propose("credit", 1, merchant_id="mch_nobody")).status_code == 404
