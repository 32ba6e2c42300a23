"""`pitaya key`: a merchant's API keys, for who has a shell on the machine. Answers are the API's own JSON."""

import json
from datetime import timedelta

from application.keep_keys import KeepKeys
from application.keep_merchants import KeepMerchants
from domain.actors import SYSTEM
from domain.channels import Mode
from domain.merchants import Caller


async def list_keys(keep: KeepKeys, merchants: KeepMerchants, merchant_id: str, mode: str) -> str:
    """Newest first, dead ones among them."""
    await merchants.get(merchant_id)
    return _shown([key.snapshot() for key in await keep.all(Caller(merchant_id, Mode(mode)))])


async def create_key(keep: KeepKeys, merchants: KeepMerchants, merchant_id: str, mode: str, name: str) -> str:
    """The key is shown this once. It may do everything that the merchant may."""
    await merchants.get(merchant_id)
    key, text = await keep.make(Caller(merchant_id, Mode(mode)), name=name, by=SYSTEM)
    return _shown({**key.snapshot(), "key": text})


async def roll_key(keep: KeepKeys, merchant_id: str, mode: str, key_id: str, overlap_hours: int) -> str:
    """Another in its place, shown this once."""
    overlap = timedelta(hours=overlap_hours)
    key, text = await keep.roll(Caller(merchant_id, Mode(mode)), key_id, overlap=overlap, by=SYSTEM)
    return _shown({**key.snapshot(), "key": text})


async def revoke_key(keep: KeepKeys, merchant_id: str, mode: str, key_id: str) -> str:
    return _shown((await keep.revoke(Caller(merchant_id, Mode(mode)), key_id, by=SYSTEM)).snapshot())


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
