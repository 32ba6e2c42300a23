"""Every way a channel lets us down, at each of the three calls: never a false state, never an endless wait."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from domain.channels import Channel, ChannelState
from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from tests.integration.channels.conftest import HASTY, Side
from tests.unit.sandbox.box import free_port

CALLS = ("open", "query", "close")


async def _ready(side: Side, call: str) -> Any:
    """An opening for which this call would succeed."""
    opening = side.opening()
    if call != "open":
        await side.adapter.open(side.access, opening)
        side.scan(opening)
    else:
        # The keys are loaded: what follows is about the channel.
        await side.adapter.query(side.access, opening.number)
    return opening


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("torn", OutcomeUnknown),
        ("reset", OutcomeUnknown),
        ("unsigned", OutcomeUnknown),
        ("bad_signature", OutcomeUnknown),
        ("error_500", OutcomeUnknown),
        ("system_error", OutcomeUnknown),
        ("rate_limited", ChannelUnavailable),
    ],
)
async def test_a_fault_is_never_taken_for_an_answer(
    side: Side, call: str, fault: str, error: type[ChannelError]
) -> None:
    opening = await _ready(side, call)
    side.fault(call, fault)
    if (side.channel, call) == (Channel.WECHAT, "close") and fault in ("torn", "reset"):
        await side.call(call, opening)  # 204 has no body: it came whole before the connection broke
        return
    with pytest.raises(error) as raised:
        await side.call(call, opening)
    assert type(raised.value) is error
    # The fault is over, and the same call with the same number goes through: nothing was lost or done twice.
    await side.call(call, opening)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["silent", "slow"])
async def test_a_channel_that_does_not_answer_in_time_leaves_the_outcome_unknown(
    side: Side, call: str, fault: str, client: httpx.AsyncClient
) -> None:
    opening = await _ready(side, call)
    side.fault(call, fault, seconds=20)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown) as doubt:
        await side.hasty(client).call(call, opening)
    assert doubt.value.code == "deadline"
    assert time.monotonic() - began < HASTY + 2
    await side.call(call, opening)


@pytest.mark.parametrize("call", CALLS)
async def test_a_slow_answer_within_the_deadline_is_an_answer(side: Side, call: str) -> None:
    opening = await _ready(side, call)
    side.fault(call, "slow", seconds=0.1)
    await side.call(call, opening)


async def test_the_money_is_found_by_the_query_after_an_unknown_opening(side: Side) -> None:
    opening = await _ready(side, "open")
    side.fault("open", "torn")
    with pytest.raises(OutcomeUnknown):
        await side.adapter.open(side.access, opening)
    side.pay(opening)
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.PAID


async def test_a_channels_wrong_amount_is_reported_as_it_is(side: Side) -> None:
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.pay(opening)
    side.fault("query", "wrong_amount")
    report = await side.adapter.query(side.access, opening.number)
    assert report.receipt is not None
    assert report.receipt.total == Money(8889)  # what it means is decided by the use case


async def test_a_payment_that_comes_after_the_close_is_seen_by_the_next_query(side: Side) -> None:
    opening = await _ready(side, "close")
    side.fault("close", "late_success", seconds=0.1)
    await side.adapter.close(side.access, opening.number)
    async with asyncio.timeout(10):
        while not side.trade(opening)["transactions"]:  # noqa: ASYNC110  another process cannot set our Event
            await asyncio.sleep(0.02)
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.PAID


@pytest.mark.parametrize("call", CALLS)
async def test_a_channel_that_cannot_be_reached_did_not_hear_us(
    side: Side, call: str, client: httpx.AsyncClient
) -> None:
    with pytest.raises(ChannelUnavailable):
        await side.elsewhere(client, f"http://127.0.0.1:{free_port()}").call(call, side.opening())


@pytest.mark.parametrize("call", CALLS)
async def test_a_credential_that_the_channel_does_not_know_is_refused_and_never_a_state(side: Side, call: str) -> None:
    # Unknown there: both channels refuse to listen, and sign nothing for somebody they do not know.
    account = replace(side.access.account, payee="1900000777")
    access = replace(
        side.access, credential=replace(side.access.credential, app_id="2021000000000777", version=7), account=account
    )
    with pytest.raises(ChannelUnavailable):
        await replace(side, access=access).call(call, side.opening())


async def test_both_of_wechat_pays_keys_are_believed_while_a_merchant_moves_over(side: Side) -> None:
    side.sandbox.post("settings", wechat_signer="both")
    opening = side.opening()
    await side.adapter.open(side.access, opening)
    side.pay(opening)
    with pytest.raises(ChannelRejected):
        await side.adapter.close(side.access, opening.number)
    assert (await side.adapter.query(side.access, opening.number)).state is ChannelState.PAID
