"""`pitaya merchant create`: open a merchant from flags and one JSON file a channel account."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from application.open_merchant import NewAccount, OpenMerchant
from domain.channels import Channel, Method, Mode
from domain.errors import InvalidRequest
from domain.merchants import LatePayment
from domain.money import FeePlan, Rate


class AccountFile(msgspec.Struct, forbid_unknown_fields=True):
    """A channel account as a file gives it (docs/merchants.md): keys as PEM or bare base64 text."""

    channel: Channel
    app_id: str
    payee: str
    methods: list[Method]
    public: dict[str, str]
    secrets: dict[str, str]
    of_platform: bool = True
    cost_rate_ppm: int = 0
    provider: str | None = None
    sub_app_id: str | None = None
    account_secrets: dict[str, str] = {}

    def account(self) -> NewAccount:
        return NewAccount(
            channel=self.channel,
            app_id=self.app_id,
            payee=self.payee,
            methods=frozenset(self.methods),
            public=self.public,
            secrets=self.secrets,
            of_platform=self.of_platform,
            cost_rate=Rate(self.cost_rate_ppm),
            provider=self.provider,
            sub_app_id=self.sub_app_id,
            account_secrets=self.account_secrets,
        )


def read_account(path: Path) -> NewAccount:
    """Raises InvalidRequest that names the file and what is wrong in it, never what it holds."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=AccountFile).account()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"{path}: {error}") from None


async def create_merchant(
    open_merchant: OpenMerchant, *, name: str, mode: str, rate_ppm: int, late_payment: str, accounts: Sequence[Path]
) -> str:
    """The text to print: what only this moment can show."""
    opened = await open_merchant(
        name,
        FeePlan(Rate(rate_ppm)),
        Mode(mode),
        accounts=[read_account(path) for path in accounts],
        late_payment=LatePayment(late_payment),
    )
    return "\n".join(
        [
            f"merchant         {opened.merchant.id}",
            f"API key          {opened.api_key}",
            f"signing secret   {opened.webhook_secret}",
            *(f"channel account  {account_id}" for account_id in opened.account_ids),
            "The key and the secret are shown this once.",
        ]
    )
