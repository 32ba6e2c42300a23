"""Alipay behind the channel ports: both directions of its wire format, on python-alipay-sdk."""

from adapters.outbound.alipay.channel import Alipay

__all__ = ["Alipay"]
