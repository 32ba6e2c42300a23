"""What every method of the open platform is handed and answers with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.faults import Fault, FaultName
from sandbox.model import App, Authorised, Trade

GOOD = {"code": "10000", "msg": "Success"}
_MESSAGES = {
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
    "40005": "Call Limited",
}


class Refused(Exception):
    """An answer other than 10000."""

    def __init__(self, code: str, sub_code: str, sub_msg: str, **fields: str) -> None:
        super().__init__(sub_code)
        self.node = {"code": code, "msg": _MESSAGES[code], "sub_code": sub_code, "sub_msg": sub_msg, **fields}


@dataclass(frozen=True)
class Call:
    """A verified call: the app, what it asks, its public parameters, and the faults that strike it.

    `merchant` is for whom a service provider's app calls.
    """

    app: App
    asked: dict[str, Any]
    params: Mapping[str, str]
    faults: Mapping[FaultName, Fault]
    merchant: Authorised | None = None

    @property
    def seller_id(self) -> str:
        return self.merchant.seller_id if self.merchant else self.app.seller_id

    def text(self, name: str) -> str:
        value = self.asked.get(name)
        return "" if value is None or isinstance(value, dict | list | bool) else str(value)


def business(sub_code: str, sub_msg: str, trade: Trade | None = None, **fields: str) -> Refused:
    return Refused("40004", sub_code, sub_msg, **({"out_trade_no": trade.number} if trade else {}), **fields)


def parameter(name: str) -> Refused:
    return Refused("40004", "ACQ.INVALID_PARAMETER", f"参数无效：{name}")
