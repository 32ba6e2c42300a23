"""WeChat Pay v3 behind the channel ports: both directions of its wire format, on wechatpayv3's async client."""

from adapters.outbound.wechat.channel import WechatPay

__all__ = ["WechatPay"]
