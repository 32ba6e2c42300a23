"""Contract of Refunding and PayerIdentity: what a refund and its repetition mean, and who is paying, on any wire."""

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import pytest

from application.ports.channels import PayerIdentity, Refunding
from domain.channels import Opening, RefundReport, RefundRequest, RefundState
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from tests.contracts.channel import ChannelDriver, ChannelTrouble
from tests.contracts.stage import soon


class RefundingDriver(ChannelDriver, Protocol):
    """A channel's driver whose channel ends the refunds that it has accepted."""

    @property
    def refunding(self) -> Refunding:
        """The adapter again, trouble included."""
        ...

    async def end_refunds(self) -> None:
        """Lets the channel go on with those that it has accepted; returns when it had time to."""
        ...


class PayerDriver(ChannelDriver, Protocol):
    """A channel's driver with a payer who logs in."""

    @property
    def identity(self) -> PayerIdentity:
        """The adapter again, trouble included."""
        ...

    async def log_in(self) -> str:
        """A code as the payer's browser brings it back from the channel."""
        ...


class RefundingContract:
    """A subclass supplies the fixture ``driver``: a RefundingDriver."""

    async def _paid(self, driver: RefundingDriver) -> Opening:
        opening: Opening = driver.opening()
        await soon(driver.adapter.open(driver.access, opening))
        await driver.scan(opening.number)
        assert await driver.pay(opening.number)
        return opening

    def _request(self, driver: RefundingDriver, opening: Opening, amount: Money | None = None) -> RefundRequest:
        return RefundRequest(
            number=driver.opening().number,
            payment_number=opening.number,
            amount=amount or opening.amount,
            total=opening.amount,
            reason="退货",
            notice_url=opening.notice_url,
        )

    async def _ended(self, driver: RefundingDriver, request: RefundRequest) -> RefundReport:
        await driver.end_refunds()
        return await soon(driver.refunding.query_refund(driver.access, request))

    @pytest.mark.parametrize("part", [None, Money(1)])
    async def test_a_refund_whole_or_in_part_is_done_under_its_number(
        self, driver: RefundingDriver, part: Money | None
    ) -> None:
        opening = await self._paid(driver)
        request = self._request(driver, opening, part)
        report = await soon(driver.refunding.refund(driver.access, request))
        assert report.state in (RefundState.ACCEPTED, RefundState.SUCCEEDED)
        assert (report.number, report.payment_number) == (request.number, opening.number)
        ended = await self._ended(driver, request)
        assert (ended.number, ended.state, ended.amount) == (request.number, RefundState.SUCCEEDED, request.amount)
        before = driver.now() - timedelta(minutes=1)
        assert ended.at is not None
        assert before <= ended.at <= driver.now() + timedelta(seconds=1)

    async def test_a_refund_that_was_never_made_is_absent(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        report = await soon(driver.refunding.query_refund(driver.access, self._request(driver, opening)))
        assert report.state is RefundState.ABSENT

    async def test_the_same_refund_again_gives_nothing_more(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        request = self._request(driver, opening, Money(opening.amount.minor - 1))
        for _ in range(2):
            report = await soon(driver.refunding.refund(driver.access, request))
            assert report.number == request.number
            assert report.state in (RefundState.ACCEPTED, RefundState.SUCCEEDED)

    async def test_a_number_does_not_change_its_amount(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        request = self._request(driver, opening, Money(2))
        await soon(driver.refunding.refund(driver.access, request))
        with pytest.raises(ChannelRejected):
            await soon(driver.refunding.refund(driver.access, replace(request, amount=Money(1))))

    async def test_more_than_was_paid_is_not_given_back(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        dearer = self._request(driver, opening, Money(opening.amount.minor + 1))
        with pytest.raises(ChannelRejected):
            await soon(driver.refunding.refund(driver.access, dearer))
        report = await soon(driver.refunding.query_refund(driver.access, dearer))
        assert report.state is RefundState.ABSENT

    async def test_a_number_that_was_never_paid_has_nothing_to_give_back(self, driver: RefundingDriver) -> None:
        with pytest.raises(ChannelRejected):
            await soon(driver.refunding.refund(driver.access, self._request(driver, driver.opening())))

    async def test_a_refund_that_is_not_answered_is_found_and_not_made_twice(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        request = self._request(driver, opening, Money(opening.amount.minor - 1))
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await soon(driver.refunding.refund(driver.access, request))
        assert (await self._ended(driver, request)).state is RefundState.SUCCEEDED
        assert (await soon(driver.refunding.refund(driver.access, request))).number == request.number

    async def test_a_refund_that_nobody_heard_may_be_made_again(self, driver: RefundingDriver) -> None:
        opening = await self._paid(driver)
        request = self._request(driver, opening)
        await driver.trouble(ChannelTrouble.UNREACHABLE)
        with pytest.raises(ChannelUnavailable):
            await soon(driver.refunding.refund(driver.access, request))
        assert (await soon(driver.refunding.query_refund(driver.access, request))).state is RefundState.ABSENT
        await soon(driver.refunding.refund(driver.access, request))


class PayerIdentityContract:
    """A subclass supplies the fixture ``driver``: a PayerDriver."""

    async def test_a_login_tells_who_pays_and_is_good_once(self, driver: PayerDriver) -> None:
        code = await driver.log_in()
        assert await soon(driver.identity.payer_id(driver.access, code))
        with pytest.raises(ChannelRejected):
            await soon(driver.identity.payer_id(driver.access, code))

    async def test_a_code_that_is_none_names_nobody(self, driver: PayerDriver) -> None:
        with pytest.raises(ChannelRejected):
            await soon(driver.identity.payer_id(driver.access, "nobodys-code"))

    async def test_the_payers_browser_is_sent_away_with_our_state_and_address(self, driver: PayerDriver) -> None:
        address = driver.identity.authorize_url(driver.access, "https://pay.example/back?a=1", "state1")
        assert "state=state1" in address
        assert "https%3A%2F%2Fpay.example%2Fback%3Fa%3D1" in address
