"""The main job in all its turns, both fund modes: paid, paid twice, wrong amount, closed, refunded, delivered."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from adapters.outbound.roots import FileAuditRoots
from application.book_entries import EntryWish, KeepBooks
from application.close_day import CloseDay
from application.open_merchant import OpenedMerchant
from domain.account_entries import EntryKind
from domain.actors import SYSTEM
from domain.attempts import BARCODE_PATIENCE, AttemptStatus
from domain.channels import Channel, Method, Mode, RefundState
from domain.choices import Choice
from domain.ledger import Account, AccountKind, Transfer
from domain.merchants import LatePayment
from domain.money import Money
from domain.receivers import Receiver, ReceiverWish
from domain.refunds import RefundWish
from domain.shares import ShareStatus, ShareWish, WishedPart
from domain.sharing import ReceiverKind, Relation
from tests.contracts.books import RECEIVABLE, transfer
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller, request
from tests.fakes.treasury import Treasury


async def tell(house: House) -> None:
    """The whole story: at its end no promise is broken, and each of them has rows that a fault would show in."""
    for of_platform in (True, False):
        methods = (Method.ALIPAY_QR, Method.WECHAT_NATIVE, Method.WECHAT_BARCODE)
        merchant = await house.merchant(of_platform=of_platform, late_payment=LatePayment.REFUND, methods=methods)
        who, mode = caller(merchant), "c" if of_platform else "d"
        twice = await house.order(merchant, f"{mode}-twice", 10_001)
        first = await house.start_attempt(who, twice.id, Method.ALIPAY_QR)
        second = await house.start_attempt(who, twice.id, Method.WECHAT_NATIVE)
        house.alipay.pay(first.number)
        house.wechat.pay(second.number)
        await house.notice(house.alipay, first)
        await house.check_attempt(second)
        wrong = await house.start_attempt(who, (await house.order(merchant, f"{mode}-wrong")).id, Method.ALIPAY_QR)
        house.alipay.pay(wrong.number, total=Money(1))
        await house.notice(house.alipay, wrong)
        discounted_order = await house.order(merchant, f"{mode}-less")
        discounted = await house.start_attempt(who, discounted_order.id, Method.ALIPAY_QR)
        house.alipay.pay(discounted.number, received=Money(9_000))
        await house.check_attempt(discounted)
        closed = await house.order(merchant, f"{mode}-closed")
        await house.start_attempt(who, closed.id, Method.WECHAT_NATIVE)
        await house.close_order(closed.id, "merchant")
        await house.order(merchant, f"{mode}-pending")
        await house.refund(merchant, discounted_order, 3_333, f"{mode}-1")
        house.alipay.faults.once(ChannelFault.REJECTED, "refund")
        await house.refund(merchant, discounted_order, 3_333, f"{mode}-2")
        await house.request_refund(
            who, RefundWish(merchant_refund_no=f"{mode}-3", order_id=discounted_order.id, amount=Money(5))
        )
        back = await house.paid(merchant, Method.WECHAT_NATIVE, f"{mode}-back")
        await house.refund(merchant, back, 10_000, f"{mode}-4")
        number = house.alipay.console(wrong.number, Money(1))
        await house.refund_notice(house.alipay, number, wrong.account_id)
        await _undo_a_charge(house, merchant, mode)
        await _turn_refunds_round(house, merchant, mode)
    await house.check_due_refunds()
    debtor = (await house.merchant()).merchant.id
    async with house.database.unit_of_work() as uow:
        await uow.ledger.post([_debt(debtor)])
        wish = EntryWish(
            kind=EntryKind.TOP_UP,
            mode=Mode.TEST,
            amount=Money(50),
            reason="paid back",
            merchant_id=debtor,
            bank_reference="B-1",
        )
        assert (await KeepBooks(house.clock, house.ids).book(uow, SYSTEM, wish)).repaid == Money(20)
    await _settle_a_day(house)
    await _share(house)
    await house.roll_up()
    tomorrow = FakeClock(house.clock.now() + timedelta(days=1))
    await CloseDay(house.database.unit_of_work, FileAuditRoots.of_ledger(None, b"none"), tomorrow)()
    await house.fan_out()
    await house.deliver()


async def _undo_a_charge(house: House, merchant: OpenedMerchant, mode: str) -> None:
    """A payer enters the password in the instant in which we give up: the money comes, and the reverse takes it."""
    order, clock = await house.order(merchant, f"{mode}-undone"), house.clock
    assert isinstance(clock, FakeClock)
    now = clock.now()
    scanned = Choice(method=Method.WECHAT_BARCODE, auth_code=f"13456789012345{ord(mode):03}1")  # asks for a password
    attempt = await house.start_attempt(caller(merchant), order.id, scanned)
    house.wechat.faults.choose = lambda step: (
        ChannelFault.UNAVAILABLE if step.startswith(("reverse", "query")) else None
    )
    clock.advance(BARCODE_PATIENCE.total_seconds() + 6)
    await house.check_due_attempts()
    house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    house.wechat.faults.choose = None
    clock.advance(60)
    await house.check_due_attempts()
    clock.set(now)
    (undone,) = await house.attempts(order)
    assert undone.status is AttemptStatus.REVERSED


async def _turn_refunds_round(house: House, merchant: OpenedMerchant, mode: str) -> None:
    """Closed after it was accepted; given up and paid after all; made in the console, and closed there."""
    order = await house.paid(merchant, Method.WECHAT_NATIVE, f"{mode}-round")
    closed = await house.refund(merchant, order, 1_000, f"{mode}-closed")
    house.wechat.settle(closed.number, RefundState.CLOSED)
    await house.refund_notice(house.wechat, closed.number, closed.account_id)
    (payment,) = await house.payments(order)
    for state in (RefundState.SUCCEEDED, RefundState.CLOSED):
        number = house.wechat.console(payment.number, Money(500))
        await house.refund_notice(house.wechat, number, payment.account_id)
        house.wechat.settle(number, state)
        await house.refund_notice(house.wechat, number, payment.account_id)
    other = await house.paid(merchant, Method.ALIPAY_QR, f"{mode}-after-all")
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    refused = await house.refund(merchant, other, 2_000, f"{mode}-after-all")
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refused.account_id)
    await house.alipay.refund(access, refused.request("https://pay.example/notices"))
    await house.refund_notice(house.alipay, refused.number, refused.account_id)
    ended = [*await house.refunds(order), *await house.refunds(other)]
    assert Counter(str(each.status) for each in ended) == {"failed": 2, "succeeded": 2}


async def _settle_a_day(house: House) -> None:
    """A payment is released and settled tomorrow, and a part of it was given back before."""
    merchant, treasury = await house.merchant(), Treasury(house)
    order = await house.paid(merchant, no="e-released")
    await house.refund(merchant, order, 1_000, "e-1")
    (payment,) = await house.payments(order)
    clock = house.clock
    assert isinstance(clock, FakeClock)
    now = clock.now()
    clock.advance(86_400)
    await treasury.rule(merchant, risk_days=0)
    await treasury.close_one(payment.account_id, payment.mode, payment.channel_date)
    await treasury.sweep()
    await treasury.settled(merchant)
    clock.set(now)


async def _share(house: House) -> None:
    """The platform's part of a payment goes to it, and comes back with a refund of two fifths."""
    merchant, now = await house.merchant(of_platform=False), house.clock.now()
    whose, house.wechat.sharing.at_once = merchant.merchant.id, True
    order = await house.place_order(caller(merchant), replace(request("f-shared"), profit_sharing=True))
    attempt = await house.start_attempt(caller(merchant), order.id, Method.WECHAT_NATIVE)
    house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    wish = ReceiverWish(
        account_id=attempt.account_id,
        kind=ReceiverKind.WECHAT_MERCHANT,
        account="1900000777",
        name="平台公司",
        relation=Relation.SERVICE_PROVIDER,
        platform_account_id=RECEIVABLE.owner,
    )
    receiver = Receiver(
        id=house.ids.new("rcv"),
        merchant_id=whose,
        mode=Mode.TEST,
        channel=Channel.WECHAT,
        number=house.ids.new("num"),
        wish=wish,
        created_at=now,
    ).created(now)
    async with house.database.unit_of_work() as uow:
        await uow.receivers.add(receiver)
        await uow.receivers.save(replace(receiver, events=()).approved(now))
    await house.tell_due_receivers()
    part = WishedPart(receiver_id=receiver.id, amount=Money(1_000), description="佣金")
    share = await house.request_share(
        caller(merchant), ShareWish(merchant_share_no="S-1", order_id=order.id, parts=(part,))
    )
    assert (await house.submit_share(share.id)).status is ShareStatus.FINISHED
    refund = await house.refund(merchant, order, 4_000, "f-1")
    house.wechat.settle(refund.number)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)


def _debt(merchant_id: str) -> Transfer:
    debt = Account(AccountKind.MERCHANT_DEBT, merchant_id, Mode.TEST, "CNY")
    return replace(transfer("debt", 20, debit=debt, credit=RECEIVABLE, about="elsewhere"), fact="debit")
