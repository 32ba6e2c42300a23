"""Who is who at WeChat Pay: a merchant of its own, or a service provider (服务商) acting for a sub-merchant."""

from collections.abc import Mapping

from adapters.outbound.wechat.reports import text
from domain.channels import Access


def named(access: Access) -> dict[str, str]:
    """The parties by the names that requests, answers and notices of this mode give them."""
    credential, account = access.credential, access.account
    if credential.provider is None:
        return {"appid": credential.app_id, "mchid": account.payee}
    return {"sp_appid": credential.app_id, "sp_mchid": credential.provider, "sub_mchid": account.payee}


def signatory(access: Access) -> str:
    """The mchid whose certificate signs our requests."""
    return access.credential.provider or access.account.payee


def sub_merchant(access: Access) -> str | None:
    """``sub_mchid``, where the mode has one."""
    return access.account.payee if access.credential.provider else None


def ours(transaction: Mapping[str, object], access: Access) -> bool:
    """Whether a transaction is of exactly these parties."""
    return named(access).items() <= transaction.items()


def our_refund(refund: Mapping[str, object], access: Access) -> bool:
    """Whether the refund in a notice is of exactly these merchants; it names no app."""
    return all(refund.get(name) == value for name, value in named(access).items() if name.endswith("mchid"))


def receiver(transaction: Mapping[str, object], access: Access) -> tuple[str, str]:
    """The app and the payee of a transaction, for comparison with ours. Raises Unreadable when one is missing.

    A sub-merchant under another provider is another payee, though it has the same number.
    """
    app, *merchants = (text(transaction, name) for name in named(access))
    if merchants[:-1] and merchants[0] != access.credential.provider:
        return app, ":".join(merchants)
    return app, merchants[-1]
