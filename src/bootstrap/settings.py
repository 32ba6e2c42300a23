"""Settings: the only reader of the environment, one frozen object, every variable documented here."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Self

from domain.channels import Channel, Mode
from domain.reconciliation import HOLD_DAYS, HOLD_DAYS_AT_MOST

# The channels' own addresses. Alipay has a public sandbox for test mode, WeChat Pay has none.
GATEWAYS = {
    (Channel.ALIPAY, Mode.LIVE): "https://openapi.alipay.com/gateway.do",
    (Channel.ALIPAY, Mode.TEST): "https://openapi-sandbox.dl.alipaydev.com/gateway.do",
    (Channel.WECHAT, Mode.LIVE): "https://api.mch.weixin.qq.com",
}
# Where payers' browsers are sent to be identified (OAuth), and what then says who they are: at Alipay the gateway.
AUTHORIZE_PAGES = {
    (Channel.ALIPAY, Mode.LIVE): "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm",
    (Channel.ALIPAY, Mode.TEST): "https://openauth-sandbox.dl.alipaydev.com/oauth2/publicAppAuthorize.htm",
    (Channel.WECHAT, Mode.LIVE): "https://open.weixin.qq.com/connect/oauth2/authorize",
}
IDENTITY_HOSTS = {(Channel.WECHAT, Mode.LIVE): "https://api.weixin.qq.com"}


class SettingsError(Exception):
    """A variable is missing or unusable; the text names it and never repeats a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process needs to know from outside.

    PITAYA_DATABASE_URL          postgresql://…, the application's login (never the owner of the tables)
    PITAYA_MIGRATION_URL         the owner's login, for ``pitaya migrate`` alone
    PITAYA_DATABASE_ROLE         optional: a role the login switches to, where one login must do for both
    PITAYA_REDIS_URL             redis://…, a broker and hints; losing it loses nothing
    PITAYA_MASTER_KEYS           ``1:<base64 of 32 bytes>[,2:…]``: encrypt credentials; the last one is current
    PITAYA_KEY_PEPPER            at least 32 characters, mixed into the digest of API keys
    PITAYA_PUBLIC_URL            where payers and merchants reach us
    PITAYA_NOTICE_URL            where channels reach us; default: PITAYA_PUBLIC_URL/notices
    PITAYA_ALIPAY_LIVE_GATEWAY, PITAYA_ALIPAY_TEST_GATEWAY, PITAYA_WECHAT_LIVE_GATEWAY, PITAYA_WECHAT_TEST_GATEWAY
    PITAYA_ALIPAY_TEST_AUTHORIZE_PAGE, PITAYA_WECHAT_TEST_AUTHORIZE_PAGE, … where payers' browsers are identified
    PITAYA_WECHAT_LIVE_IDENTITY_HOST, PITAYA_WECHAT_TEST_IDENTITY_HOST  what turns WeChat's codes into openids
    PITAYA_ALLOW_PRIVATE_ADDRESSES  ``1``: notify http:// and loopback addresses (demo and tests only)
    PITAYA_SANDBOX_PHONE_URL     test mode's simulated phone, linked from the cashier
    PITAYA_POOL_SIZE             database connections a process; PITAYA_NOTICE_POOL_SIZE is reserved for notices
    PITAYA_TRUSTED_PROXIES       networks, comma separated: whose X-Forwarded-For is believed; default: nobody's
    PITAYA_REQUIRE_TOTP          ``0``: people may go without a second factor; refused where live money is; default 1
    PITAYA_HOLD_DAYS             1 to 3 days that a line without its other side waits for a neighbour's bill; default 1
    PITAYA_AUDIT_EXPORT          a directory outside the database, where the audit chain's end is appended daily
    PITAYA_LOG_LEVEL             default INFO
    PITAYA_CRASH                 ``name:nth``: die at a crash point (tests only)
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    master_keys: Mapping[int, bytes] = field(repr=False)
    key_pepper: bytes = field(repr=False)
    public_url: str
    notice_url: str
    gateways: Mapping[tuple[Channel, Mode], str]
    authorize_pages: Mapping[tuple[Channel, Mode], str] = field(default_factory=dict)
    identity_hosts: Mapping[tuple[Channel, Mode], str] = field(default_factory=dict)
    migration_url: str | None = field(default=None, repr=False)
    database_role: str | None = None
    allow_private_addresses: bool = False
    sandbox_phone_url: str | None = None
    pool_size: int = 12
    notice_pool_size: int = 4
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    totp_required: bool = True
    hold_days: int = HOLD_DAYS
    audit_export: Path | None = None
    log_level: str = "INFO"
    crash: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises SettingsError for the first variable that is missing or unusable."""

        def need(name: str) -> str:
            value = environment.get(name, "").strip()
            if not value:
                raise SettingsError(f"{name} is not set")
            return value

        public_url = need("PITAYA_PUBLIC_URL").rstrip("/")
        pepper = need("PITAYA_KEY_PEPPER")
        if len(pepper) < 32:
            raise SettingsError("PITAYA_KEY_PEPPER is shorter than 32 characters")
        return cls(
            database_url=database_url(need("PITAYA_DATABASE_URL")),
            redis_url=need("PITAYA_REDIS_URL"),
            master_keys=_master_keys(need("PITAYA_MASTER_KEYS")),
            key_pepper=pepper.encode(),
            public_url=public_url,
            notice_url=environment.get("PITAYA_NOTICE_URL", "").rstrip("/") or f"{public_url}/notices",
            gateways=_addresses(environment, "GATEWAY", GATEWAYS),
            authorize_pages=_addresses(environment, "AUTHORIZE_PAGE", AUTHORIZE_PAGES),
            identity_hosts=_addresses(environment, "IDENTITY_HOST", IDENTITY_HOSTS),
            migration_url=database_url(environment["PITAYA_MIGRATION_URL"])
            if environment.get("PITAYA_MIGRATION_URL")
            else None,
            database_role=environment.get("PITAYA_DATABASE_ROLE") or None,
            allow_private_addresses=environment.get("PITAYA_ALLOW_PRIVATE_ADDRESSES") == "1",
            sandbox_phone_url=environment.get("PITAYA_SANDBOX_PHONE_URL") or None,
            pool_size=_count(environment, "PITAYA_POOL_SIZE", 12),
            notice_pool_size=_count(environment, "PITAYA_NOTICE_POOL_SIZE", 4),
            trusted_proxies=_networks(environment.get("PITAYA_TRUSTED_PROXIES", "")),
            totp_required=environment.get("PITAYA_REQUIRE_TOTP", "1") != "0",
            hold_days=_count(environment, "PITAYA_HOLD_DAYS", HOLD_DAYS, most=HOLD_DAYS_AT_MOST),
            audit_export=Path(environment["PITAYA_AUDIT_EXPORT"]) if environment.get("PITAYA_AUDIT_EXPORT") else None,
            log_level=environment.get("PITAYA_LOG_LEVEL", "INFO").upper(),
            crash=environment.get("PITAYA_CRASH") or None,
        )

    @property
    def current_master_key(self) -> int:
        """The version that new secrets are encrypted with: the last one given."""
        return list(self.master_keys)[-1]

    def gateways_of(self, channel: Channel) -> dict[Mode, str]:
        """Where this channel is, by mode. A mode without an address cannot be used."""
        return _of(self.gateways, channel)

    def authorize_pages_of(self, channel: Channel) -> dict[Mode, str]:
        """Where this channel identifies a payer's browser, by mode."""
        return _of(self.authorize_pages, channel)

    def identity_hosts_of(self, channel: Channel) -> dict[Mode, str]:
        """What turns this channel's codes into a payer's id, by mode."""
        return _of(self.identity_hosts, channel)


def database_url(url: str) -> str:
    """The URL with the driver that we speak."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("a database URL begins with postgresql://")
    return f"postgresql+asyncpg://{rest}"


def _master_keys(text: str) -> dict[int, bytes]:
    keys: dict[int, bytes] = {}
    for part in text.split(","):
        number, _, encoded = part.strip().partition(":")
        try:
            keys[int(number)] = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise SettingsError("PITAYA_MASTER_KEYS is not of the form 1:<base64>[,2:<base64>]") from None
    if any(len(key) != 32 for key in keys.values()):
        raise SettingsError("PITAYA_MASTER_KEYS: each key is 32 bytes")
    return keys


def _addresses(
    environment: Mapping[str, str], what: str, known: Mapping[tuple[Channel, Mode], str]
) -> dict[tuple[Channel, Mode], str]:
    given = {
        (channel, mode): environment.get(f"PITAYA_{channel}_{mode}_{what}".upper(), "").rstrip("/")
        for channel in Channel
        for mode in Mode
    }
    return {**known, **{place: url for place, url in given.items() if url}}


def _of(addresses: Mapping[tuple[Channel, Mode], str], channel: Channel) -> dict[Mode, str]:
    return {mode: url for (of, mode), url in addresses.items() if of is channel}


def _count(environment: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(f"{name} is a number above zero")
    if most is not None and int(text) > most:
        raise SettingsError(f"{name} is at most {most}")
    return int(text)


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingsError("PITAYA_TRUSTED_PROXIES is not of the form 10.0.0.0/8[,fd00::/8]") from None
