"""An account under a service provider is opened with all that its channel needs, and nothing of it in the clear."""

from pathlib import Path

from adapters.inbound.cli.merchants import read_account
from application.ports.world import account_context
from domain.channels import Channel, Method, Mode
from domain.money import FeePlan, Rate
from tests.fakes.house import House

FILE = """{
  "channel": "wechat",
  "app_id": "wx0000000000000001",
  "payee": "1900000109",
  "methods": ["wechat_jsapi"],
  "public": {"mch_serial": "AB"},
  "secrets": {"mch_private_key": "key"},
  "provider": "1900000001",
  "sub_app_id": "wx0000000000000109",
  "account_secrets": {"app_secret": "the secret of an app"}
}"""


async def test_a_sub_merchants_account_keeps_its_provider_its_app_and_its_own_secrets(tmp_path: Path) -> None:
    house, file = House(), tmp_path / "wechat.json"
    file.write_text(FILE)
    opened = await house.open_merchant("Café", FeePlan(Rate(6_000)), Mode.TEST, accounts=[read_account(file)])
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(opened.account_ids[0])
    account, credential = access.account, access.credential
    assert (credential.provider, account.payee, account.sub_app_id) == (
        *("1900000001", "1900000109", "wx0000000000000109"),
    )
    assert (account.channel, account.methods) == (Channel.WECHAT, frozenset({Method.WECHAT_JSAPI}))
    assert b"the secret of an app" not in account.sealed
    assert house.vault.open(account_context(account.id), account.sealed) == b'{"app_secret": "the secret of an app"}'


async def test_an_account_without_secrets_of_its_own_has_nothing_sealed(tmp_path: Path) -> None:
    house, file = House(), tmp_path / "wechat.json"
    file.write_text(FILE.replace(',\n  "account_secrets": {"app_secret": "the secret of an app"}', ""))
    opened = await house.open_merchant("Café", FeePlan(Rate(6_000)), Mode.TEST, accounts=[read_account(file)])
    async with house.database.unit_of_work() as uow:
        assert (await uow.accounts.access(opened.account_ids[0])).account.sealed == b""
