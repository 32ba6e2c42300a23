"""Contract of a payment channel's adapter: what opening, asking, closing and notices mean, whatever the wire format."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import pytest

from application.ports.channels import ChannelAdapter
from domain.channels import Access, ChannelNotice, ChannelState, Opening
from domain.errors import ChannelRejected, ChannelUnavailable, NoticeRejected, OutcomeUnknown
from domain.money import Money
from tests.contracts.stage import soon

CALLS = ("open", "query", "close")


class ChannelTrouble(StrEnum):
    """What a driver can make happen to the next call."""

    UNREACHABLE = "unreachable"  # nothing listens
    SILENT = "silent"  # it hears, does what we ask, and never answers


class ChannelDriver(Protocol):
    """An adapter, who we are at its channel, and the payer's end of it."""

    @property
    def adapter(self) -> ChannelAdapter: ...
    @property
    def access(self) -> Access: ...
    @property
    def stranger(self) -> Access:
        """Another account of the channel, with keys of its own."""
        ...

    @property
    def unscanned_is_absent(self) -> bool:
        """Whether the channel knows of no payment before somebody scans the code (Alipay)."""
        ...

    def now(self) -> datetime: ...
    def opening(self) -> Opening:
        """A new one, with a number never used before."""
        ...

    async def scan(self, number: str) -> None: ...
    async def pay(self, number: str) -> bool:
        """Whether the payer's phone let them pay the amount that was asked."""
        ...

    async def notice(self, number: str) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of what the channel sends us about this number; each call sends it again."""
        ...

    async def trouble(self, kind: ChannelTrouble) -> None:
        """For the next call of the adapter, which then ends well within the contract's deadline."""
        ...


class ChannelContract:
    """A subclass supplies the fixture ``driver``: a ChannelDriver."""

    async def _opened(self, driver: ChannelDriver) -> Opening:
        opening = driver.opening()
        await soon(driver.adapter.open(driver.access, opening))
        return opening

    async def _paid(self, driver: ChannelDriver) -> Opening:
        opening = await self._opened(driver)
        await driver.scan(opening.number)
        assert await driver.pay(opening.number)
        return opening

    async def _state(self, driver: ChannelDriver, opening: Opening) -> ChannelState:
        report = await soon(driver.adapter.query(driver.access, opening.number))
        assert report.number == opening.number
        return report.state

    async def _read(self, driver: ChannelDriver, headers: Mapping[str, str], body: bytes) -> ChannelNotice:
        return await soon(driver.adapter.read(driver.access, headers, body, now=driver.now()))

    async def _call(self, driver: ChannelDriver, call: str, opening: Opening) -> Any:
        if call == "open":
            return await soon(driver.adapter.open(driver.access, opening))
        return await soon(getattr(driver.adapter, call)(driver.access, opening.number))

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_an_opening_gives_the_payer_something_to_pay_with(self, driver: ChannelDriver) -> None:
        opening = driver.opening()
        assert opening.method in driver.adapter.methods
        action = await soon(driver.adapter.open(driver.access, opening))
        assert action.type
        assert action.value

    async def test_an_opening_repeated_is_one_payment(self, driver: ChannelDriver) -> None:
        opening = await self._opened(driver)
        assert (await soon(driver.adapter.open(driver.access, opening))).value
        await driver.scan(opening.number)
        assert await driver.pay(opening.number)
        assert not await driver.pay(opening.number)
        assert await self._state(driver, opening) is ChannelState.PAID

    @pytest.mark.parametrize("end", ["paid", "closed"])
    async def test_a_number_that_is_done_with_is_never_opened_again(self, driver: ChannelDriver, end: str) -> None:
        opening = await self._opened(driver)
        await driver.scan(opening.number)
        if end == "paid":
            assert await driver.pay(opening.number)
        else:
            await soon(driver.adapter.close(driver.access, opening.number))
        with pytest.raises(ChannelRejected):
            await soon(driver.adapter.open(driver.access, opening))

    async def test_a_number_does_not_change_its_amount(self, driver: ChannelDriver) -> None:
        opening = await self._opened(driver)
        await driver.scan(opening.number)
        dearer = replace(opening, amount=opening.amount + Money(1))
        with pytest.raises(ChannelRejected):
            await soon(driver.adapter.open(driver.access, dearer))

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_number_that_was_never_opened_is_absent(self, driver: ChannelDriver) -> None:
        assert await self._state(driver, driver.opening()) is ChannelState.ABSENT

    async def test_a_payment_is_pending_from_the_scan_to_the_money(self, driver: ChannelDriver) -> None:
        opening = await self._opened(driver)
        unscanned = ChannelState.ABSENT if driver.unscanned_is_absent else ChannelState.PENDING
        assert await self._state(driver, opening) is unscanned
        await driver.scan(opening.number)
        assert await self._state(driver, opening) is ChannelState.PENDING

    async def test_a_paid_number_comes_with_a_receipt_in_our_name(self, driver: ChannelDriver) -> None:
        before = driver.now() - timedelta(seconds=1)
        opening = await self._paid(driver)
        report = await soon(driver.adapter.query(driver.access, opening.number))
        assert report.state is ChannelState.PAID
        receipt = report.receipt
        assert receipt is not None
        assert receipt.number == opening.number
        assert receipt.total == opening.amount
        assert receipt.received <= receipt.total
        assert receipt.transaction_id
        assert (receipt.app_id, receipt.payee) == (driver.access.credential.app_id, driver.access.account.payee)
        assert before <= receipt.paid_at <= driver.now() + timedelta(seconds=1)
        assert (await soon(driver.adapter.query(driver.access, opening.number))).receipt == receipt

    # ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_closing_a_number_that_was_never_opened_is_harmless(self, driver: ChannelDriver) -> None:
        await soon(driver.adapter.close(driver.access, driver.opening().number))

    async def test_a_closed_payment_cannot_be_paid_and_closing_it_again_is_harmless(
        self, driver: ChannelDriver
    ) -> None:
        opening = await self._opened(driver)
        await driver.scan(opening.number)
        await soon(driver.adapter.close(driver.access, opening.number))
        await soon(driver.adapter.close(driver.access, opening.number))
        assert await self._state(driver, opening) is ChannelState.CLOSED
        assert not await driver.pay(opening.number)

    async def test_a_paid_number_is_not_closed(self, driver: ChannelDriver) -> None:
        opening = await self._paid(driver)
        with pytest.raises(ChannelRejected):
            await soon(driver.adapter.close(driver.access, opening.number))
        assert await self._state(driver, opening) is ChannelState.PAID

    # ── notices ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_notice_says_what_a_query_says_and_keeps_its_id(self, driver: ChannelDriver) -> None:
        opening = await self._paid(driver)
        first = await self._read(driver, *await driver.notice(opening.number))
        second = await self._read(driver, *await driver.notice(opening.number))
        assert first.id
        assert first.id == second.id
        assert first.report is not None
        assert first.report == await soon(driver.adapter.query(driver.access, opening.number))

    async def test_no_byte_of_a_notice_can_be_changed_to_another_meaning(self, driver: ChannelDriver) -> None:
        opening = await self._paid(driver)
        headers, body = await driver.notice(opening.number)
        honest = await self._read(driver, headers, body)
        refused = 0
        for position in range(0, len(body), max(1, len(body) // 60)):
            other = b"1" if body[position : position + 1] != b"1" else b"2"
            forged = body[:position] + other + body[position + 1 :]
            try:
                # A change that leaves the meaning as it was, as of an escape's case, is the channel's own business.
                assert await self._read(driver, headers, forged) == honest
            except NoticeRejected:
                refused += 1
        assert refused

    @pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[]", b"\xff\xfe", b"sign=&sign_type=RSA2", b"=" * 9])
    async def test_what_is_no_notice_is_refused(self, driver: ChannelDriver, body: bytes) -> None:
        headers, _ = await driver.notice((await self._paid(driver)).number)
        with pytest.raises(NoticeRejected):
            await self._read(driver, headers, body)
        with pytest.raises(NoticeRejected):
            await self._read(driver, {}, body)

    async def test_a_notice_to_us_is_not_believed_with_anothers_keys(self, driver: ChannelDriver) -> None:
        headers, body = await driver.notice((await self._paid(driver)).number)
        with pytest.raises(NoticeRejected):
            await soon(driver.adapter.read(driver.stranger, headers, body, now=driver.now()))

    async def test_the_channel_hears_whether_we_accepted_its_notice(self, driver: ChannelDriver) -> None:
        yes, no = driver.adapter.answer(accepted=True), driver.adapter.answer(accepted=False)
        assert yes != no
        assert 200 <= yes.status < 300

    # ── when it lets us down ─────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("call", CALLS)
    async def test_a_channel_that_nobody_can_reach_did_not_hear_us(self, driver: ChannelDriver, call: str) -> None:
        opening = await self._opened(driver)
        await driver.trouble(ChannelTrouble.UNREACHABLE)
        with pytest.raises(ChannelUnavailable):
            await self._call(driver, call, opening)

    @pytest.mark.parametrize("call", CALLS)
    async def test_a_channel_that_does_not_answer_may_have_heard_us(self, driver: ChannelDriver, call: str) -> None:
        opening = await self._opened(driver)
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await self._call(driver, call, opening)

    async def test_an_opening_whose_answer_was_lost_is_repeated_under_its_number(self, driver: ChannelDriver) -> None:
        opening = driver.opening()
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await soon(driver.adapter.open(driver.access, opening))
        assert (await soon(driver.adapter.open(driver.access, opening))).value
        await driver.scan(opening.number)
        assert await driver.pay(opening.number)
