"""The three calls of a payment, each with an answer of WeChat Pay that says yes."""

from functools import cache
from typing import Any

from adapters.outbound.wechat import keys
from domain.channels import Mode
from tests.unit.adapters.wechat.world import (
    MCHID,
    NUMBER,
    World,
    certificate,
    opening,
    paid,
)

CALLS = ("open", "query", "close")
CODE = {"code_url": "weixin://wxpay/bizpayurl?pr=abc"}
OK = {"open": (200, CODE), "query": (200, paid()), "close": (204, b"")}


@cache
def _keys() -> keys.MerchantKeys:
    """Loaded once: what these tests are about comes after that."""
    world = World()
    credential = world.credential({"platform_certificates": certificate()})
    return keys.load(world.vault, credential, MCHID)


async def call_it(world: World, call: str, said: Any, *, number: str = NUMBER, **options: Any) -> Any:
    """Makes one of the three calls; ``said`` is the answer, or a function that gives it or raises."""
    async with world.adapter(said if callable(said) else lambda _: said, **options) as wechat:
        wechat._keys._loaded["crd_1", 1, MCHID, Mode.TEST] = _keys()
        if call == "open":
            return await wechat.open(world.access(), opening(number=number))
        return await getattr(wechat, call)(world.access(), number)
