"""What a payer can pay with here: on a desk, on a phone, or inside a wallet's own browser."""

from collections.abc import Collection
from enum import StrEnum

from domain.channels import Method

_M = Method


class Device(StrEnum):
    DESK = "desk"
    PHONE = "phone"
    ALIPAY = "alipay"
    WECHAT = "wechat"

    @classmethod
    def of(cls, agent: str) -> "Device":
        """By User-Agent: a hint and no more. Whoever lies about it is shown what does not work for them."""
        if "MicroMessenger/" in agent:
            return cls.WECHAT
        if "AlipayClient/" in agent:
            return cls.ALIPAY
        return cls.PHONE if any(word in agent for word in ("Mobile", "Android", "iPhone", "iPad")) else cls.DESK


# For each device its choices, in their order; of each choice the first method that is offered.
_CHOICES: dict[Device, tuple[tuple[Method, ...], ...]] = {
    Device.DESK: ((_M.ALIPAY_QR,), (_M.WECHAT_NATIVE,), (_M.ALIPAY_PAGE,)),
    Device.PHONE: ((_M.ALIPAY_WAP, _M.ALIPAY_QR), (_M.WECHAT_H5, _M.WECHAT_NATIVE)),
    Device.ALIPAY: ((_M.ALIPAY_JSAPI, _M.ALIPAY_WAP, _M.ALIPAY_QR), (_M.WECHAT_NATIVE,)),
    Device.WECHAT: ((_M.WECHAT_JSAPI, _M.WECHAT_NATIVE), (_M.ALIPAY_QR,)),
}
_SCANNED = frozenset({_M.ALIPAY_QR, _M.WECHAT_NATIVE})
# Opened by the payer's own decision: each of these leaves our page, or asks for an answer.
STARTS_BY_ITSELF = _SCANNED
INSTALMENTS = frozenset({_M.ALIPAY_PAGE, _M.ALIPAY_WAP})


def choices(device: Device, offered: Collection[Method]) -> list[Method]:
    """What to offer, best first. Inside a wallet its own payment is enough, where there is one."""
    found = [next((method for method in ways if method in offered), None) for ways in _CHOICES[device]]
    methods = [method for method in found if method is not None]
    return [method for method in methods if method.needs_payer] or methods
