"""The fake channel keeps the contract of the real ones, in both their ways, and fails in the ways that we ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from application.ports.channels import PayerIdentity, Payouts, Refunding, Sharing
from domain.channels import (
    Access,
    Channel,
    ChannelAccount,
    ChannelNotice,
    ChannelState,
    Credential,
    Method,
    Mode,
    Opening,
)
from domain.errors import ChannelRejected, NoticeRejected, OutcomeUnknown
from domain.money import Money
from domain.numbers import channel_number
from domain.payouts import PayoutState
from tests.contracts.channel import ChannelContract, ChannelTrouble
from tests.contracts.charging import ChargingContract, Wallet
from tests.contracts.giving_back import PayerIdentityContract, RefundingContract
from tests.contracts.paying_out import PayoutsContract, PayoutTrouble
from tests.contracts.sharing import SharingContract
from tests.fakes import ChannelFault, FakeChannel, FakeClock, FakeDatabase, FakeIds, PayerRefused

TROUBLES = {
    ChannelTrouble.UNREACHABLE: ChannelFault.UNAVAILABLE,
    ChannelTrouble.SILENT: ChannelFault.UNKNOWN_DONE,
}


def access(channel: Channel, name: str) -> Access:
    methods = frozenset(method for method in Method if method.channel is channel)
    account = ChannelAccount(
        id=f"cha_{name}", channel=channel, mode=Mode.TEST, credential_id=f"crd_{name}", payee=name, methods=methods
    )
    return Access(account, Credential(id=f"crd_{name}", channel=channel, mode=Mode.TEST, app_id=f"app-{name}"))


@dataclass
class FakeChannelDriver:
    adapter: FakeChannel
    clock: FakeClock
    ids: FakeIds
    access: Access
    stranger: Access
    ending: PayoutState = PayoutState.PAID

    @property
    def unscanned_is_absent(self) -> bool:
        return self.adapter.unscanned_is_absent

    def now(self) -> datetime:
        return self.clock.now()

    def opening(self) -> Opening:
        return Opening(
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            method=min(self.adapter.methods),
            amount=Money(8_888),
            subject="火龙果",
            expires_at=self.clock.now() + timedelta(minutes=15),
            notice_url="https://pay.example/n",
        )

    async def scan(self, number: str) -> None:
        self.adapter.scan(number)

    async def pay(self, number: str) -> bool:
        try:
            self.adapter.pay(number)
        except PayerRefused:
            return False
        return True

    async def notice(self, number: str) -> tuple[Mapping[str, str], bytes]:
        return self.adapter.notice(number)

    @property
    def undone_was_paid(self) -> bool:
        return False

    async def show_code(self, wallet: Wallet) -> str:
        # The last digit is what the wallet does.
        return self.ids.new("num") + {"pays": "5", "asks": "1", "poor": "0"}[wallet]

    @property
    def refunding(self) -> Refunding:
        return self.adapter

    @property
    def identity(self) -> PayerIdentity:
        return self.adapter

    async def end_refunds(self) -> None:
        for report in self.adapter.refunds():
            assert report.number is not None
            self.adapter.settle(report.number)

    @property
    def payouts(self) -> Payouts:
        return self.adapter.payouts

    async def payout_trouble(self, kind: PayoutTrouble) -> None:
        if kind is PayoutTrouble.FAILS:
            self.ending = PayoutState.FAILED
            self.adapter.payouts.first = None if self.adapter.payouts.confirmed else PayoutState.PENDING
        else:
            short = kind is PayoutTrouble.SHORT
            self.adapter.faults.once(ChannelFault.FUNDS_SHORT if short else ChannelFault.REJECTED, at="payout")

    async def take(self, number: str, *, leave: bool = False) -> None:
        if self.adapter.payouts.confirmed:
            self.adapter.payouts.become(number, PayoutState.FAILED if leave else self.ending, "its end")

    async def end_payouts(self) -> None:
        for report in self.adapter.payouts.reports():
            if report.state is PayoutState.PENDING:
                self.adapter.payouts.become(report.number, self.ending, "its end")

    async def payout_notice(self, number: str) -> tuple[Mapping[str, str], bytes] | None:
        return self.adapter.payouts.notice(number) if self.adapter.payouts.confirmed else None

    receiver = "receiver"

    @property
    def sharing(self) -> Sharing:
        return self.adapter.sharing

    async def transaction(self, opening: Opening) -> str:
        receipt = self.adapter.receipt(opening.number)
        assert receipt is not None
        return receipt.transaction_id

    async def end_shares(self) -> None:
        self.adapter.sharing.settle()

    async def log_in(self) -> str:
        return self.ids.new("login").replace("_", "-")

    async def trouble(self, kind: ChannelTrouble) -> None:
        self.adapter.faults.once(TROUBLES[kind])


@pytest.fixture(params=[Channel.ALIPAY, Channel.WECHAT], ids=str)
def driver(request: pytest.FixtureRequest) -> FakeChannelDriver:
    clock, channel = FakeClock(), request.param
    ours, stranger = access(channel, "ours"), access(channel, "stranger")
    return FakeChannelDriver(FakeChannel(channel, clock), clock, FakeIds(), ours, stranger)


class TestFakeChannel(ChannelContract):
    pass


class TestFakeCharging(ChargingContract):
    pass


class TestFakeRefunding(RefundingContract):
    pass


class TestFakePayouts(PayoutsContract):
    pass


class TestFakeSharing(SharingContract):
    pass


class TestFakePayerIdentity(PayerIdentityContract):
    pass


async def test_an_unscanned_alipay_code_can_be_paid_after_a_close_until_it_expires(driver: FakeChannelDriver) -> None:
    opening = driver.opening()
    await driver.adapter.open(driver.access, opening)
    await driver.adapter.close(driver.access, opening.number)
    driver.clock.set(opening.expires_at - timedelta(microseconds=1))
    assert await driver.pay(opening.number) is driver.unscanned_is_absent


async def test_nothing_can_be_paid_once_it_has_expired(driver: FakeChannelDriver) -> None:
    scanned, unscanned = driver.opening(), driver.opening()
    for opening in (scanned, unscanned):
        await driver.adapter.open(driver.access, opening)
    await driver.scan(scanned.number)
    driver.clock.set(scanned.expires_at)
    assert not await driver.pay(scanned.number)
    assert not await driver.pay(unscanned.number)
    report = await driver.adapter.query(driver.access, scanned.number)
    # WeChat Pay's time_expire is the last moment to pay, not a close.
    assert report.state is (ChannelState.CLOSED if driver.unscanned_is_absent else ChannelState.PENDING)


async def test_the_channel_may_take_another_amount_than_was_asked(driver: FakeChannelDriver) -> None:
    opening = driver.opening()
    await driver.adapter.open(driver.access, opening)
    receipt = driver.adapter.pay(opening.number, total=Money(8_800), received=Money(8_000))
    assert (receipt.total, receipt.received) == (Money(8_800), Money(8_000))
    assert driver.adapter.paid() == [receipt]


async def test_what_was_not_heard_was_not_done_though_nobody_can_know(driver: FakeChannelDriver) -> None:
    opening = driver.opening()
    driver.adapter.faults.once(ChannelFault.UNKNOWN_UNDONE, at="open")
    with pytest.raises(OutcomeUnknown):
        await driver.adapter.open(driver.access, opening)
    assert driver.adapter.state(opening.number) is ChannelState.ABSENT
    with pytest.raises(PayerRefused):
        driver.adapter.scan(opening.number)


async def test_a_definite_no_does_nothing(driver: FakeChannelDriver) -> None:
    opening = driver.opening()
    driver.adapter.faults.once(ChannelFault.REJECTED)
    with pytest.raises(ChannelRejected):
        await driver.adapter.open(driver.access, opening)
    assert driver.adapter.state(opening.number) is ChannelState.ABSENT


async def test_a_fault_strikes_the_call_it_is_meant_for_and_that_once(driver: FakeChannelDriver) -> None:
    opening = driver.opening()
    driver.adapter.faults.once(ChannelFault.UNKNOWN_DONE, at="close")
    await driver.adapter.open(driver.access, opening)
    await driver.scan(opening.number)
    with pytest.raises(OutcomeUnknown):
        await driver.adapter.close(driver.access, opening.number)
    assert (await driver.adapter.query(driver.access, opening.number)).state is ChannelState.CLOSED


async def test_a_notice_about_anything_can_be_signed_and_read(driver: FakeChannelDriver) -> None:
    headers, body = driver.adapter.sign(driver.access, None, id="n-1")
    notice = await driver.adapter.read(driver.access, headers, body, now=driver.now())
    assert notice == ChannelNotice("n-1", "payment", None)


async def test_rotated_keys_do_not_verify_what_the_old_ones_signed(driver: FakeChannelDriver) -> None:
    headers, body = driver.adapter.sign(driver.access, None, id="n-1")
    rotated = replace(driver.access, credential=replace(driver.access.credential, version=2))
    with pytest.raises(NoticeRejected):
        await driver.adapter.read(rotated, headers, body, now=driver.now())


async def test_a_call_inside_a_unit_of_work_is_a_bug_and_says_so() -> None:
    database, clock = FakeDatabase(), FakeClock()
    channel = FakeChannel(Channel.WECHAT, clock, open_here=database.open_here)
    with pytest.raises(AssertionError, match="inside a unit of work"):
        async with database.unit_of_work():
            await channel.query(access(Channel.WECHAT, "ours"), "PTY1")
