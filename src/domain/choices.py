"""A payer's choice: by which method, and what that method needs to know."""

from dataclasses import dataclass, field

from domain.channels import Channel, Method
from domain.errors import InvalidRequest

INSTALMENTS = (3, 6, 12)  # 花呗分期, hb_fq_num

# What the two wallets show as a bar code (付款码): digits alone, and whose they are says the beginning. WeChat Pay: 18
# digits that begin with 10 to 15 (付款码支付, 接入前准备); Alipay: 16 to 24 that begin with 25 to 30 (alipay.trade.pay,
# auth_code).
_WECHAT = (range(10, 16), range(18, 19), Method.WECHAT_BARCODE)
_ALIPAY = (range(25, 31), range(16, 25), Method.ALIPAY_BARCODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How the payer pays. ``checked`` says whether it is whole.

    ``payer_app`` is the app by which ``payer_id`` is known; without it the account that is best serves.
    ``auth_code`` is handed to the channel once and stored nowhere. ``payer_ip`` and ``return_url`` come from whoever
    knows the payer's browser; without them the order's own count.
    """

    method: Method
    payer_id: str | None = None
    payer_app: str | None = None
    auth_code: str | None = field(default=None, repr=False)
    instalments: int | None = None
    payer_ip: str | None = None
    return_url: str | None = None

    def checked(self) -> None:
        """Raises InvalidRequest for what this method lacks, and for what it cannot use."""
        method = self.method
        if method.is_barcode and self.auth_code is None:
            raise InvalidRequest("scan the payer's code", code="auth_code_required", pointer="/auth_code")
        if self.auth_code is not None and not method.is_barcode:
            raise InvalidRequest(f"{method} takes no auth_code", code="auth_code_unexpected", pointer="/auth_code")
        if self.auth_code is not None and method_of_code(self.auth_code) is not method:
            raise InvalidRequest(f"not a code for {method}", code="auth_code_unknown", pointer="/auth_code")
        if method.needs_payer and self.payer_id is None:
            raise InvalidRequest(f"{method} has to know who pays", code="payer_required", pointer="/payer_id")
        if self.payer_id is not None and not method.needs_payer:
            raise InvalidRequest(f"{method} takes no payer_id", code="payer_unexpected", pointer="/payer_id")
        if self.payer_app is not None and self.payer_id is None:
            raise InvalidRequest("an app without a payer", code="payer_unexpected", pointer="/payer_app_id")
        if self.instalments is not None and method.channel is not Channel.ALIPAY:
            raise InvalidRequest("instalments are Alipay's", code="instalments_unsupported", pointer="/instalments")
        if self.instalments is not None and self.instalments not in INSTALMENTS:
            raise InvalidRequest("3, 6 or 12 instalments", code="instalments_invalid", pointer="/instalments")


def method_of_code(auth_code: str) -> Method:
    """Whose bar code this is. Raises InvalidRequest("auth_code_unknown")."""
    if auth_code.isascii() and auth_code.isdigit():
        for beginnings, lengths, method in (_WECHAT, _ALIPAY):
            if int(auth_code[:2]) in beginnings and len(auth_code) in lengths:
                return method
    raise InvalidRequest("this is no wallet's bar code", code="auth_code_unknown", pointer="/auth_code")
