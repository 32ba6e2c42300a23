"""Writes docs/events.md: ``python -m tests.event_examples``. Each example is what the use cases made, on the fakes."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from application.book_entries import EntryWish, KeepBooks
from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.open_merchant import OpenedMerchant
from domain.account_entries import EntryKind
from domain.actors import SYSTEM
from domain.channels import Channel, Method, Mode, RefundState
from domain.choices import Choice
from domain.errors import ChannelError
from domain.events import ANNOUNCED
from domain.invoices import Due, Invoice, last_month
from domain.money import Money
from domain.notifications import Answer
from domain.receivers import Receiver, ReceiverWish
from domain.refunds import RefundWish
from domain.shares import ShareWish, WishedPart
from domain.sharing import ReceiverKind, Relation
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller, request
from tests.fakes.treasury import Treasury

DOCUMENT = Path(__file__).parents[1] / "docs" / "events.md"
ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE

_HEAD = """# Events 事件

What happens to your orders and refunds is an event: an immutable snapshot with an id that never changes. Events are
posted to your endpoints as Standard Webhooks 1.0 says, in whatever order they arrive, at least once each:
`webhook-id` is the event's id, so keep the ids that you have handled. `GET /v1/events` has every event, those below
and the steps between them, in the order in which they were committed; no event ever appears behind a cursor that you
were given.

Verify with any Standard Webhooks library and the endpoint's `whsec_…` secret; during a rotation there are two
signatures. Answer 2xx within 15 seconds. Anything else is tried again for three days: after 5 s, 30 s, 2 min, 10 min,
30 min, 1 h, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, each ±10 %. `429` and `503` may ask for more time with `Retry-After`,
an hour at most. `410` disables the endpoint; so do five days of nothing but failures. After five failures in a row an
endpoint is paused (30 s, then twice as long, up to 10 min) and tried with one event at a time until it answers. What
was missed is sent again with `POST /v1/webhook_endpoints/{id}/resend`, or read from `/v1/events`.

`api_version` names the shape of `data`; an event keeps the one it was made with.

This page is written by `python -m tests.event_examples`, which runs the use cases and copies what came out; a test
holds it to them.
"""


async def happened() -> Mapping[str, dict[str, Any]]:
    """The first body of each type of event, of a day on which everything happens."""
    clock = FakeClock()
    house = House(clock=clock)
    merchant = await house.merchant(methods=(ALIPAY, WECHAT, Method.WECHAT_BARCODE))
    await _payments(house, merchant)
    await _refunds(house, merchant)
    await _bar_codes(house, merchant, clock)
    await _entries(house, merchant)
    await _shares(house)
    await _invoices(house)
    await _settlements(house, merchant)
    await _endpoints(house, merchant)
    bodies: dict[str, dict[str, Any]] = {}
    rows = sorted(house.database.tables.events.committed.values(), key=lambda row: (row.xid, row.row))
    for event in (row.event for row in rows):
        if event.announced or event.type == "webhook.test":
            bodies.setdefault(event.type, event.body())
    return bodies


async def _payments(house: House, merchant: OpenedMerchant) -> None:
    await house.paid(merchant, no="A-1")
    await house.close_order((await house.order(merchant, "A-2")).id, "merchant")
    late = await house.order(merchant, "A-3")
    attempt = await house.start_attempt(caller(merchant), late.id, Choice(method=ALIPAY))
    await house.close_order(late.id, "merchant")
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    twice = await house.order(merchant, "A-4")
    first = await house.start_attempt(caller(merchant), twice.id, Choice(method=ALIPAY))
    second = await house.start_attempt(caller(merchant), twice.id, Choice(method=WECHAT))
    for channel, each in ((house.wechat, second), (house.alipay, first)):
        channel.pay(each.number)
        await house.notice(channel, each)
    amiss = await house.order(merchant, "A-5")
    attempt = await house.start_attempt(caller(merchant), amiss.id, Choice(method=ALIPAY))
    house.alipay.pay(attempt.number, total=Money(1))
    await house.notice(house.alipay, attempt)


async def _refunds(house: House, merchant: OpenedMerchant) -> None:
    await house.refund(merchant, await house.paid(merchant, no="B-1"), no="R-1")
    for no, state in (("2", RefundState.CLOSED), ("3", RefundState.ABNORMAL)):
        refund = await house.refund(merchant, await house.paid(merchant, WECHAT, f"B-{no}"), no=f"R-{no}")
        house.wechat.settle(refund.number, state)
        await house.refund_notice(house.wechat, refund.number, refund.account_id)
    order = await house.paid(merchant, no="B-4")
    wish = RefundWish(merchant_refund_no="R-4", order_id=order.id, amount=Money(4_000))
    waiting = await house.request_refund(caller(merchant), wish, approval=True)
    async with house.database.unit_of_work() as uow:
        await house.confirm_refund.reject(uow, waiting.id, "not this one")


async def _bar_codes(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    choice = Choice(method=Method.WECHAT_BARCODE, auth_code="134567890123456780")
    with suppress(ChannelError):  # the payer has no money
        await house.start_attempt(caller(merchant), (await house.order(merchant, "C-1")).id, choice)
    hangs = replace(choice, auth_code="134567890123456781")  # the payer never enters the password
    await house.start_attempt(caller(merchant), (await house.order(merchant, "C-2")).id, hangs)
    another = replace(choice, auth_code="134567890123456771")
    closed = await house.start_attempt(caller(merchant), (await house.order(merchant, "C-3")).id, another)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(closed.account_id)
    await house.wechat.close(access, closed.number)
    for _ in range(120):
        clock.advance(1)
        await house.check_due_attempts()


async def _entries(house: House, merchant: OpenedMerchant) -> None:
    books = KeepBooks(house.clock, house.ids)
    of_bank = {EntryKind.TOP_UP: "20261122-0001"}
    for kind, amount in (
        (EntryKind.TOP_UP, 50_000),
        (EntryKind.FREEZE, 2_000),
        (EntryKind.UNFREEZE, 2_000),
        (EntryKind.DEBIT, 300),
    ):
        async with house.database.unit_of_work() as uow:
            wish = EntryWish(
                kind=kind,
                mode=Mode.TEST,
                amount=Money(amount),
                reason="as agreed on 2026-11-20",
                merchant_id=merchant.merchant.id,
                bank_reference=of_bank.get(kind),
            )
            await books.book(uow, SYSTEM, wish)


async def _shares(house: House) -> None:
    merchant = await house.merchant(of_platform=False)
    known, _ = [await receiver(house, merchant, account) for account in ("1900000109", "1900000999")]
    house.wechat.faults.once(ChannelFault.REJECTED, at="register 1900000999")
    await house.tell_due_receivers()
    order = await house.place_order(caller(merchant), replace(request("D-1"), profit_sharing=True))
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    house.wechat.sharing.at_once = True
    for no, minor in (("S-1", 300), ("S-2", 9_000)):
        part = WishedPart(receiver_id=known, amount=Money(minor), description="佣金")
        wish = ShareWish(merchant_share_no=no, order_id=order.id, parts=(part,))
        await house.submit_share((await house.request_share(caller(merchant), wish)).id)


async def _invoices(house: House) -> None:
    unit_of_work, now = house.database.unit_of_work, house.clock.now()
    for n, end in enumerate(("paid", "written_off")):
        merchant = await house.merchant(of_platform=False)
        due = Due(merchant_id=merchant.merchant.id, mode=merchant.endpoint.mode, amount=Money(12_345 + n))
        invoice = Invoice.issue(due, last_month(now), id=house.ids.new("inv"), now=now)
        async with unit_of_work() as uow:
            await uow.invoices.add(invoice)
        async with unit_of_work() as uow:
            locked = await uow.invoices.lock(invoice.id)
            done = locked.paid("20261105-0001", now, account_id=None) if end == "paid" else locked.written_off("—", now)
            await uow.invoices.save(done)


async def receiver(house: House, merchant: OpenedMerchant, account: str) -> str:
    """One that two people agree to, at WeChat Pay; its id. The channel has yet to be told."""
    async with house.database.unit_of_work() as uow:
        serving = await uow.accounts.serving(merchant.merchant.id, merchant.endpoint.mode)
        shares = next(one.account for one in serving if one.account.channel is Channel.WECHAT)
        wish = ReceiverWish(
            account_id=shares.id,
            kind=ReceiverKind.WECHAT_MERCHANT,
            account=account,
            name="火龙果科技有限公司",
            relation=Relation.PARTNER,
        )
        now = house.clock.now()
        made = Receiver(
            id=house.ids.new("rcv"),
            merchant_id=merchant.merchant.id,
            mode=shares.mode,
            channel=shares.channel,
            number=house.ids.new("num"),
            wish=wish,
            created_at=now,
        ).created(now)
        await uow.receivers.add(made)
    async with house.database.unit_of_work() as uow:
        locked = await uow.receivers.lock(made.id)
        await uow.receivers.save(locked.approved(now))
    return made.id


async def _settlements(house: House, merchant: OpenedMerchant) -> None:
    """One for each end. What is available was adjusted, and the rail says what the example needs."""
    treasury = Treasury(house)
    await treasury.payee(merchant)
    for end in ("rejected", "paid", "failed", "cancelled", "bounced"):
        await treasury.adjusted(merchant, 19_880, end)
        settlement = await treasury.settled(merchant)
        if end == "rejected":
            await treasury.decide.reject(treasury.chen, (await treasury.proposal(settlement)).id, "not this week")
            continue
        await treasury.approved(settlement)
        async with house.database.unit_of_work() as uow:
            now = house.clock.now()
            paying = (await uow.settlements.lock(settlement.id)).paying(now)
            if end == "cancelled":
                ended = paying.awaiting_payee(
                    now, reference="1330000071100999991182020050700019480001", confirmation="affffddafdfafddffda=="
                )
                ended = ended.cancelled("not confirmed in time", now)
            elif end == "failed":
                ended = paying.failed("PAYEE_ACCOUNT_ABNORMAL", now)
            else:
                ended = paying.paid(now, at=now, reference="20261101110070001506840000000001")
            await uow.settlements.save(ended.bounced("账号与户名不符", now) if end == "bounced" else ended)


async def _endpoints(house: House, merchant: OpenedMerchant) -> None:
    unit_of_work, vault, clock, ids = house.database.unit_of_work, house.vault, house.clock, house.ids
    url = "https://erp.example/hooks"
    endpoint = await AddEndpoint(unit_of_work, vault, clock, ids, lambda _: None)(caller(merchant), url)
    await KeepEndpoints(unit_of_work, vault, clock, ids, house.hints).test(caller(merchant), endpoint.id)
    house.courier.server(url).answer = Answer(status_code=410)
    await house.deliver()


def draw() -> str:
    """The whole document. Raises KeyError for a type of which nothing happened."""
    bodies = asyncio.run(happened())
    contents = "".join(f"| [`{type_}`](#{_anchor(type_)}) | {en} | {zh} |\n" for type_, (en, zh) in ANNOUNCED.items())
    parts = [
        f"\n## {type_}\n\n{en} {zh}\n\n```json\n{json.dumps(bodies[type_], indent=2, ensure_ascii=False)}\n```\n"
        for type_, (en, zh) in ANNOUNCED.items()
    ]
    return f"{_HEAD}\n| type | what it says | 含义 |\n| --- | --- | --- |\n{contents}" + "".join(parts)


def _anchor(type_: str) -> str:
    return type_.replace(".", "")


if __name__ == "__main__":
    DOCUMENT.write_text(draw(), encoding="utf-8")
