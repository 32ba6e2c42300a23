"""Every way to pay and every ending: the table behind test_methods.py, and docs/methods.md drawn from its test ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from domain.channels import FundMode, Method


class Signature(StrEnum):
    """How a channel's answers and notices are verified."""

    KEY = "key"  # Alipay's public key; WeChat Pay's public key
    CERTIFICATE = "certificate"  # Alipay's app, platform and root certificates; WeChat Pay's platform certificates


class Party(StrEnum):
    """Who signs for the account."""

    MERCHANT = "merchant"  # its own application or merchant number
    PROVIDER = "provider"  # 服务商: another's, which acts for it


class Ending(StrEnum):
    SUCCESS = "success"
    FAIL = "fail"
    UNKNOWN = "unknown"
    LATE = "late"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Case:
    method: Method
    party: Party
    fund_mode: FundMode
    signature: Signature
    ending: Ending

    @property
    def id(self) -> str:
        return f"{self.method}-{self.party}-{self.fund_mode}-{self.signature}-{self.ending}"


_SIGNED_HERE = frozenset({Method.ALIPAY_PAGE, Method.ALIPAY_WAP, Method.ALIPAY_APP})


def not_applicable(method: Method, ending: Ending) -> str | None:
    """Why there is nothing to test; None where there is."""
    if ending is Ending.UNKNOWN and method in _SIGNED_HERE:
        return "it is opened by what we sign, without a call: there is no answer to miss"
    if ending is Ending.LATE and method is Method.WECHAT_BARCODE:
        return "WeChat Pay sends no notice of bar codes: money after the end is found by its bill"
    return None


def rows() -> Iterator[tuple[Method, Party, FundMode, Signature]]:
    return product(Method, Party, FundMode, Signature)


def cases() -> Iterator[Case]:
    """Each cell of the table that is tested."""
    for row in rows():
        for ending in Ending:
            if not_applicable(row[0], ending) is None:
                yield Case(*row, ending)


def page() -> str:
    """docs/methods.md."""
    ids = {case.id for case in cases()}
    reasons: list[str] = []
    lines = []
    for row in rows():
        cells = [f"`{row[0]}`", *map(str, row[1:])]
        for ending in Ending:
            reason = not_applicable(row[0], ending)
            if reason is None:
                cells.append("✓" if Case(*row, ending).id in ids else "—")
                continue
            if reason not in reasons:
                reasons.append(reason)
            cells.append(f"n/a {reasons.index(reason) + 1}")
        lines.append("| " + " | ".join(cells) + " |")
    notes = "\n".join(f"{number}. {reason[0].upper()}{reason[1:]}." for number, reason in enumerate(reasons, 1))
    head = " | ".join(("method", "signed by", "fund mode", "signatures", *Ending))
    return _PAGE.format(head=head, rule="|".join(["---"] * 9), rows="\n".join(lines), notes=notes)


_PAGE = """# Ways to pay

Each ✓ is a test that goes through the wire: our API over HTTP, the real adapter on its SDK, the channel's sandbox in
a process of its own, and PostgreSQL (`tests/integration/test_methods.py`, one test id a cell). This page is drawn from
those ids, and a test holds the two together.

What the answer of `POST /v1/orders` or `POST /v1/orders/{{id}}/attempts` tells the payer's side to do (`action.type`):

| method | action | what to do with it |
|---|---|---|
| `alipay_qr`, `wechat_native` | `qr_code` | show `value` as a QR code |
| `alipay_page`, `alipay_wap` | `form` | POST `fields` to `value` from the payer's browser; `instalments`: 3, 6, 12 |
| `wechat_h5` | `redirect` | send the payer's browser to `value`; needs `payer_ip` |
| `alipay_app` | `sdk` | hand `value`, the order string, to Alipay's SDK in your app |
| `alipay_jsapi` | `sdk` | `AlipayJSBridge.call("tradePay", {{tradeNO: value}})`; needs `payer_id` |
| `wechat_jsapi`, `wechat_miniprogram` | `sdk` | `fields` for the wallet's bridge; needs `payer_id` |
| `wechat_app` | `sdk` | `fields` for the open platform's SDK in your app |
| `alipay_barcode`, `wechat_barcode`, or `barcode` | null | nothing: scan the payer's code and send it as `auth_code` |

Where a method needs `payer_id`, `POST /v1/orders/{{id}}/payer` turns the code of your mini-program into it, with the
`payer_app_id` whose payer it is; our cashier finds both out by itself inside Alipay and WeChat. A bar code that is not
paid within 45 seconds is undone (撤销) until the channel says so for certain: `attempt.reversed` tells the till.
`POST /v1/codes` makes a code for the counter.

Signatures: `key` is Alipay's or WeChat Pay's public key, `certificate` Alipay's app, platform and root certificates or
WeChat Pay's platform certificates.

Signed by: `merchant` is an application or merchant number of the payee's own, `provider` a service provider (服务商)
that acts for the payee.

**success**: paid, booked to the fen, the order `paid`. **fail**: the payer refuses or has no money; nothing is booked
and nobody can pay any more. **unknown**: the channel does what it is asked and its answer is lost; the same number is
paid once. **late**: money comes after the order was closed; it is held, goes back to the payer (a bar code's is undone
once more), and the books hold nothing of it. **refund**: `POST /v1/refunds` gives all of it back, fee share included.

| {head} |
|{rule}|
{rows}

n/a:

{notes}
"""
