"""Contract of Sharing: what a share, its end and its return mean, on any wire."""

from dataclasses import replace
from typing import Protocol

import pytest

from application.ports.channels import Sharing
from domain.channels import Opening, RefundRequest, RefundState
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from domain.sharing import (
    AskedPart,
    PartResult,
    ReceiverAccount,
    ReceiverKind,
    Relation,
    ReturnRequest,
    ReturnState,
    ShareReport,
    ShareRequest,
    ShareState,
)
from domain.taken_back import TakenBack
from tests.contracts.channel import ChannelTrouble
from tests.contracts.giving_back import RefundingDriver
from tests.contracts.stage import soon


class SharingDriver(RefundingDriver, Protocol):
    """A channel's driver whose channel does the shares that it has taken."""

    @property
    def sharing(self) -> Sharing:
        """The adapter again, trouble included."""
        ...

    @property
    def receiver(self) -> str:
        """An account that could receive."""
        ...

    async def transaction(self, opening: Opening) -> str:
        """The channel's own number of a payment."""
        ...

    async def end_shares(self) -> None:
        """Lets the channel go on with those that it has taken; returns when it had time to."""
        ...


class SharingContract:
    """A subclass supplies the fixture ``driver``: a SharingDriver."""

    async def _paid(self, driver: SharingDriver) -> tuple[Opening, str]:
        opening: Opening = replace(driver.opening(), shared=True)
        await soon(driver.adapter.open(driver.access, opening))
        await driver.scan(opening.number)
        assert await driver.pay(opening.number)
        return opening, await driver.transaction(opening)

    def _kind(self, driver: SharingDriver) -> ReceiverKind:
        businesses = (ReceiverKind.WECHAT_MERCHANT, ReceiverKind.ALIPAY_USER)
        return next(kind for kind in businesses if kind in driver.sharing.kinds)

    async def _registered(self, driver: SharingDriver) -> ReceiverAccount:
        receiver = ReceiverAccount(
            number=driver.opening().number,
            kind=self._kind(driver),
            account=driver.receiver,
            name="平台公司",
            relation=Relation.SERVICE_PROVIDER,
        )
        for _ in range(2):
            await soon(driver.sharing.register(driver.access, receiver))
        return receiver

    def _request(self, driver: SharingDriver, transaction: str, minor: int = 100, account: str = "") -> ShareRequest:
        part = AskedPart(
            kind=self._kind(driver),
            account=account or driver.receiver,
            name="",
            amount=Money(minor),
            description="平台服务费",
        )
        return ShareRequest(number=driver.opening().number, transaction_id=transaction, parts=(part,))

    async def _ended(self, driver: SharingDriver, request: ShareRequest) -> ShareReport:
        await driver.end_shares()
        report = await soon(driver.sharing.ask(driver.access, request))
        assert report.number == request.number
        return report

    async def _shared(self, driver: SharingDriver) -> tuple[Opening, ShareRequest]:
        await self._registered(driver)
        opening, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        await soon(driver.sharing.share(driver.access, request))
        assert (await self._ended(driver, request)).state is ShareState.FINISHED
        return opening, request

    async def test_a_share_is_taken_and_done_under_its_number(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        _, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        for _ in range(2):
            report = await soon(driver.sharing.share(driver.access, request))
            assert report.number == request.number
            assert report.state in (ShareState.PROCESSING, ShareState.FINISHED)
        ended = await self._ended(driver, request)
        (part,) = ended.parts
        assert ended.state is ShareState.FINISHED
        assert (part.account, part.amount, part.result) == (driver.receiver, Money(100), PartResult.SUCCEEDED)

    async def test_who_is_not_registered_gets_nothing_and_the_channel_says_so(self, driver: SharingDriver) -> None:
        receiver = await self._registered(driver)
        for _ in range(2):
            await soon(driver.sharing.remove(driver.access, receiver))
        _, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        await soon(driver.sharing.share(driver.access, request))
        (part,) = (await self._ended(driver, request)).parts
        assert part.result is PartResult.CLOSED
        assert part.reason

    async def test_a_share_that_was_never_asked_for_is_absent(self, driver: SharingDriver) -> None:
        _, transaction = await self._paid(driver)
        report = await soon(driver.sharing.ask(driver.access, self._request(driver, transaction)))
        assert report.state is ShareState.ABSENT

    async def test_a_number_does_not_change_its_parts(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        _, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        await soon(driver.sharing.share(driver.access, request))
        other = replace(request, parts=self._request(driver, transaction, 101).parts)
        with pytest.raises(ChannelRejected):
            await soon(driver.sharing.share(driver.access, other))

    async def test_more_than_the_channel_lets_go_is_refused(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        opening, transaction = await self._paid(driver)
        request = self._request(driver, transaction, opening.amount.minor)
        with pytest.raises(ChannelRejected):
            await soon(driver.sharing.share(driver.access, request))
        assert (await soon(driver.sharing.ask(driver.access, request))).state is ShareState.ABSENT

    async def test_after_its_end_nothing_can_be_shared(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        _, transaction = await self._paid(driver)
        end = ShareRequest(number=driver.opening().number, transaction_id=transaction)
        for _ in range(2):
            await soon(driver.sharing.finish(driver.access, end))
        assert (await self._ended(driver, end)).state is ShareState.FINISHED
        with pytest.raises(ChannelRejected):
            await soon(driver.sharing.share(driver.access, self._request(driver, transaction)))

    async def test_a_share_that_is_not_answered_is_found_and_not_made_twice(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        _, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await soon(driver.sharing.share(driver.access, request))
        assert (await self._ended(driver, request)).state is ShareState.FINISHED
        await soon(driver.sharing.share(driver.access, request))

    async def test_a_share_that_nobody_heard_may_be_asked_for_again(self, driver: SharingDriver) -> None:
        await self._registered(driver)
        _, transaction = await self._paid(driver)
        request = self._request(driver, transaction)
        await driver.trouble(ChannelTrouble.UNREACHABLE)
        with pytest.raises(ChannelUnavailable):
            await soon(driver.sharing.share(driver.access, request))
        assert (await soon(driver.sharing.ask(driver.access, request))).state is ShareState.ABSENT
        await soon(driver.sharing.share(driver.access, request))

    async def test_a_share_comes_back_before_the_refund_or_with_it(self, driver: SharingDriver) -> None:
        opening, shared = await self._shared(driver)
        back = ReturnRequest(
            number=driver.opening().number, share_number=shared.number, account=driver.receiver, amount=Money(60)
        )
        if not driver.sharing.returns_with_refund:
            assert (await soon(driver.sharing.ask_return(driver.access, back))).state is ReturnState.ABSENT
            for _ in range(2):
                report = await soon(driver.sharing.return_share(driver.access, back))
                assert (report.number, report.state, report.amount) == (back.number, ReturnState.SUCCEEDED, Money(60))
            assert (await soon(driver.sharing.ask_return(driver.access, back))).state is ReturnState.SUCCEEDED
            too_much = replace(back, number=driver.opening().number, amount=Money(41))
            with pytest.raises(ChannelRejected):
                await soon(driver.sharing.return_share(driver.access, too_much))
            return
        with pytest.raises(ChannelRejected):
            await soon(driver.sharing.return_share(driver.access, back))
        refund = RefundRequest(
            number=driver.opening().number,
            payment_number=opening.number,
            amount=Money(1_000),
            total=opening.amount,
            reason="退货",
            notice_url=opening.notice_url,
            taken_back=(TakenBack(account=driver.receiver, by_login=False, amount=Money(101)),),
        )
        with pytest.raises(ChannelRejected):
            await soon(driver.refunding.refund(driver.access, refund))
        less = TakenBack(account=driver.receiver, by_login=False, amount=Money(60))
        refunded = await soon(driver.refunding.refund(driver.access, replace(refund, taken_back=(less,))))
        assert refunded.state in (RefundState.ACCEPTED, RefundState.SUCCEEDED)
