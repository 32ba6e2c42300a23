"""Where channels are: their own addresses, and others that the environment names."""

from bootstrap.settings import Settings
from domain.channels import Channel, Mode

NEEDED = {
    "PITAYA_DATABASE_URL": "postgresql://pitaya@localhost/pitaya",
    "PITAYA_REDIS_URL": "redis://localhost",
    "PITAYA_MASTER_KEYS": "1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "PITAYA_KEY_PEPPER": "a pepper for tests, at least thirty-two characters",
    "PITAYA_PUBLIC_URL": "https://pay.example",
}


def test_wechat_pay_has_no_test_addresses_of_its_own() -> None:
    settings = Settings.from_environment(NEEDED)
    for addresses in (settings.gateways_of, settings.authorize_pages_of, settings.identity_hosts_of):
        assert addresses(Channel.WECHAT).keys() == {Mode.LIVE}
    assert settings.identity_hosts_of(Channel.WECHAT)[Mode.LIVE] == "https://api.weixin.qq.com"
    assert settings.authorize_pages_of(Channel.ALIPAY).keys() == {Mode.LIVE, Mode.TEST}


def test_a_sandbox_stands_in_for_test_mode_alone() -> None:
    there = "http://127.0.0.1:8400"
    settings = Settings.from_environment(
        NEEDED
        | {
            "PITAYA_WECHAT_TEST_GATEWAY": f"{there}/",
            "PITAYA_WECHAT_TEST_AUTHORIZE_PAGE": f"{there}/connect/oauth2/authorize",
            "PITAYA_WECHAT_TEST_IDENTITY_HOST": there,
        }
    )
    assert settings.gateways_of(Channel.WECHAT)[Mode.TEST] == there
    assert settings.authorize_pages_of(Channel.WECHAT)[Mode.TEST] == f"{there}/connect/oauth2/authorize"
    assert settings.identity_hosts_of(Channel.WECHAT)[Mode.TEST] == there
    assert settings.gateways_of(Channel.WECHAT)[Mode.LIVE] == "https://api.mch.weixin.qq.com"
