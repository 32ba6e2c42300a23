"""Contract of Charging: what a bar code payment and its undoing mean, whatever the wire format."""

from dataclasses import replace
from typing import Literal, Protocol

import pytest

from domain.channels import ChannelState, Method, Opening
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from tests.contracts.channel import ChannelDriver, ChannelTrouble
from tests.contracts.stage import soon

Wallet = Literal["pays", "asks", "poor"]


class ChargingDriver(ChannelDriver, Protocol):
    """A channel's driver with wallets that show bar codes."""

    @property
    def undone_was_paid(self) -> bool:
        """Whether a query goes on to say that money had come before it was given back, as it says of a payment that
        was refunded: Alipay does not tell the two apart, and both are facts of money."""
        ...

    async def show_code(self, wallet: Wallet) -> str:
        """A new code; when it is scanned, its wallet pays at once, asks its owner, or has not enough."""
        ...


class ChargingContract:
    """A subclass supplies the fixture ``driver``: a ChargingDriver."""

    async def _opening(self, driver: ChargingDriver, wallet: Wallet) -> Opening:
        (method,) = (method for method in driver.adapter.methods if method.is_barcode)
        return replace(driver.opening(), method=Method(method), auth_code=await driver.show_code(wallet))

    async def _state(self, driver: ChargingDriver, opening: Opening) -> ChannelState:
        return (await soon(driver.adapter.query(driver.access, opening.number))).state

    async def _is_undone(self, driver: ChargingDriver, opening: Opening, *, paid: bool) -> bool:
        wanted = {ChannelState.CLOSED, ChannelState.FAILED}
        wanted |= {ChannelState.PAID} if paid and driver.undone_was_paid else set()
        return await self._state(driver, opening) in wanted

    async def test_a_code_pays_at_once_and_a_query_says_the_same(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "pays")
        report = await soon(driver.adapter.charge(driver.access, opening))
        assert report.state is ChannelState.PAID
        assert report.receipt is not None
        assert (report.receipt.number, report.receipt.total) == (opening.number, opening.amount)
        assert report.receipt.payee == driver.access.account.payee
        queried = await soon(driver.adapter.query(driver.access, opening.number))
        assert queried.receipt == report.receipt

    async def test_a_payer_who_is_asked_is_pending_until_he_answers(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "asks")
        assert (await soon(driver.adapter.charge(driver.access, opening))).state is ChannelState.PENDING
        assert await self._state(driver, opening) is ChannelState.PENDING
        assert await driver.pay(opening.number)
        assert await self._state(driver, opening) is ChannelState.PAID

    async def test_a_payer_without_money_is_a_definite_no(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "poor")
        with pytest.raises(ChannelRejected):
            await soon(driver.adapter.charge(driver.access, opening))
        assert await self._state(driver, opening) is not ChannelState.PAID

    async def test_a_code_pays_one_number_only(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "pays")
        await soon(driver.adapter.charge(driver.access, opening))
        another = replace(driver.opening(), method=opening.method, auth_code=opening.auth_code)
        with pytest.raises(ChannelRejected):
            await soon(driver.adapter.charge(driver.access, another))
        assert await self._state(driver, another) is not ChannelState.PAID

    @pytest.mark.parametrize("wallet", ["pays", "asks"])
    async def test_what_is_reversed_stays_undone_however_often(self, driver: ChargingDriver, wallet: Wallet) -> None:
        opening = await self._opening(driver, wallet)
        await soon(driver.adapter.charge(driver.access, opening))
        for _ in range(2):
            await soon(driver.adapter.reverse(driver.access, opening.number))
            assert await self._is_undone(driver, opening, paid=wallet == "pays")
        assert not await driver.pay(opening.number)

    async def test_reversing_a_number_that_was_never_charged_is_harmless(self, driver: ChargingDriver) -> None:
        await soon(driver.adapter.reverse(driver.access, driver.opening().number))

    async def test_a_charge_whose_answer_was_lost_is_found_by_a_query(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "pays")
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await soon(driver.adapter.charge(driver.access, opening))
        assert await self._state(driver, opening) is ChannelState.PAID

    async def test_a_charge_that_was_not_heard_charges_nothing(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "pays")
        await driver.trouble(ChannelTrouble.UNREACHABLE)
        with pytest.raises(ChannelUnavailable):
            await soon(driver.adapter.charge(driver.access, opening))
        assert await self._state(driver, opening) is ChannelState.ABSENT
        # So the same may be tried again.
        assert (await soon(driver.adapter.charge(driver.access, opening))).state is ChannelState.PAID

    async def test_a_reverse_whose_answer_was_lost_is_tried_again(self, driver: ChargingDriver) -> None:
        opening = await self._opening(driver, "pays")
        await soon(driver.adapter.charge(driver.access, opening))
        await driver.trouble(ChannelTrouble.SILENT)
        with pytest.raises(OutcomeUnknown):
            await soon(driver.adapter.reverse(driver.access, opening.number))
        await soon(driver.adapter.reverse(driver.access, opening.number))
        assert await self._is_undone(driver, opening, paid=True)
