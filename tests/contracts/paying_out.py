"""Contract of Payouts: what a payout, its repetition and its end mean, on any wire."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

import pytest

from application.ports.channels import Payouts
from domain.channels import Channel
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from domain.payouts import PayeeKind, PayoutReport, PayoutRequest, PayoutState
from tests.contracts.channel import ChannelDriver, ChannelTrouble
from tests.contracts.stage import soon

KINDS = {Channel.ALIPAY: PayeeKind.ALIPAY_LOGIN, Channel.WECHAT: PayeeKind.WECHAT_OPENID}


class PayoutTrouble(StrEnum):
    """What a channel may do about the next payout that it is asked for."""

    SHORT = "short"  # not enough in the account, now
    REFUSED = "refused"
    FAILS = "fails"  # taken, and failed in the end


class PayoutDriver(ChannelDriver, Protocol):
    """A channel's driver with a payee at the other end."""

    @property
    def payouts(self) -> Payouts:
        """The adapter's payouts, trouble included."""
        ...

    async def take(self, number: str, *, leave: bool = False) -> None:
        """What the payee does where a payout has to be confirmed: confirm it, or let the time pass."""
        ...

    async def payout_trouble(self, kind: PayoutTrouble) -> None: ...

    async def end_payouts(self) -> None:
        """Lets the channel go on; returns when it had time to."""
        ...

    async def payout_notice(self, number: str) -> tuple[Mapping[str, str], bytes] | None:
        """What the channel sends about this payout; None where it sends nothing."""
        ...


class PayoutsContract:
    """A subclass supplies the fixture ``driver``: a PayoutDriver."""

    def _request(self, driver: PayoutDriver, amount: int = 1_234) -> PayoutRequest:
        channel = driver.access.account.channel
        return PayoutRequest(
            number=driver.opening().number,
            amount=Money(amount),
            kind=KINDS[channel],
            payee="cafe@example.com" if channel is Channel.ALIPAY else "o-MYE42l80oelYMDE34nYD456Xoy",
            name="张三",
            title="货款结算",
            notice_url=driver.opening().notice_url,
        )

    async def _pay(self, driver: PayoutDriver, request: PayoutRequest) -> PayoutReport:
        return await soon(driver.payouts.pay(driver.access, request))

    async def _ask(self, driver: PayoutDriver, request: PayoutRequest) -> PayoutReport:
        return await soon(driver.payouts.ask(driver.access, request.number))

    async def _taken(self, driver: PayoutDriver, request: PayoutRequest, *, leave: bool = False) -> PayoutReport:
        await driver.take(request.number, leave=leave)
        await driver.end_payouts()
        return await self._ask(driver, request)

    async def test_a_payout_arrives_under_its_number(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        assert request.kind in driver.payouts.kinds
        report = await self._pay(driver, request)
        assert report.number == request.number
        assert (report.state is PayoutState.AWAITING_PAYEE) == (report.confirmation is not None)
        assert report.state in (PayoutState.AWAITING_PAYEE, PayoutState.PAID)
        ended = await self._taken(driver, request)
        assert (ended.number, ended.state, ended.amount) == (request.number, PayoutState.PAID, request.amount)
        assert ended.channel_id == report.channel_id
        assert ended.at is not None
        assert driver.now() - timedelta(minutes=1) <= ended.at <= driver.now() + timedelta(seconds=1)

    async def test_a_payout_that_was_never_made_is_absent(self, driver: PayoutDriver) -> None:
        assert (await self._ask(driver, self._request(driver))).state is PayoutState.ABSENT

    async def test_the_same_payout_again_is_the_same(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        first, second = await self._pay(driver, request), await self._pay(driver, request)
        assert (first.channel_id, first.state) == (second.channel_id, second.state)
        assert (first.confirmation is None) == (second.confirmation is None)

    async def test_a_number_does_not_change_its_amount(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        await self._pay(driver, request)
        with pytest.raises(ChannelRejected):
            await self._pay(driver, replace(request, amount=Money(1_235)))
        assert (await self._taken(driver, request)).amount == request.amount

    @pytest.mark.parametrize(
        ("trouble", "code"), [(PayoutTrouble.SHORT, "channel_funds_short"), (PayoutTrouble.REFUSED, None)]
    )
    async def test_what_is_refused_is_not_there_and_may_be_asked_for_again(
        self, driver: PayoutDriver, trouble: PayoutTrouble, code: str | None
    ) -> None:
        request = self._request(driver)
        await driver.payout_trouble(trouble)
        with pytest.raises(ChannelRejected) as caught:
            await self._pay(driver, request)
        assert code in (None, caught.value.code)
        assert (await self._ask(driver, request)).state is PayoutState.ABSENT
        await self._pay(driver, request)

    async def test_what_was_taken_may_still_fail(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        await driver.payout_trouble(PayoutTrouble.FAILS)
        assert (await self._pay(driver, request)).state is not PayoutState.FAILED
        ended = await self._taken(driver, request)
        assert ended.state is PayoutState.FAILED
        assert ended.detail

    async def test_a_payee_who_does_not_confirm_gets_nothing(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        if (await self._pay(driver, request)).state is PayoutState.AWAITING_PAYEE:
            assert (await self._taken(driver, request, leave=True)).state is PayoutState.FAILED

    async def test_what_its_payee_has_not_confirmed_is_taken_back_and_nothing_else(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        paid = (await self._pay(driver, request)).state is PayoutState.PAID
        if paid:
            with pytest.raises(ChannelRejected):
                await soon(driver.payouts.cancel(driver.access, request.number))
            return
        report = await soon(driver.payouts.cancel(driver.access, request.number))
        assert report.state in (PayoutState.PENDING, PayoutState.CANCELLED)
        await driver.end_payouts()
        assert (await self._ask(driver, request)).state is PayoutState.CANCELLED

    async def test_a_payout_that_is_not_answered_is_found_and_not_made_twice(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await self._pay(driver, request)
        found = await self._ask(driver, request)
        assert found.state in (PayoutState.AWAITING_PAYEE, PayoutState.PAID)
        assert (await self._pay(driver, request)).channel_id == found.channel_id

    async def test_a_payout_that_nobody_heard_may_be_made_again(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        await driver.trouble(ChannelTrouble.UNREACHABLE)
        with pytest.raises(ChannelUnavailable):
            await self._pay(driver, request)
        assert (await self._ask(driver, request)).state is PayoutState.ABSENT
        await self._pay(driver, request)

    async def test_a_notice_says_what_a_query_says(self, driver: PayoutDriver) -> None:
        request = self._request(driver)
        await self._pay(driver, request)
        asked = await self._taken(driver, request)
        sent = await driver.payout_notice(request.number)
        if sent is not None:
            read = await soon(driver.adapter.read(driver.access, *sent, now=driver.now()))
            assert read.payout is not None
            told = read.payout
            assert (told.number, told.state, told.amount, told.channel_id) == (
                asked.number,
                asked.state,
                asked.amount,
                asked.channel_id,
            )
            assert read.report is None
            assert read.refund is None
