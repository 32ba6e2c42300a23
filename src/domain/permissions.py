"""The table of permissions: one for each thing that a person can do, and which built-in roles hold it.

Default deny: what is not in a table is allowed to nobody. Every route names its permission (CONTRIBUTING, "How to add
an admin route"); ``pitaya permissions`` prints these tables.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Realm(StrEnum):
    """Whose people they are: the platform's operators, or one merchant's users."""

    PLATFORM = "platform"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class Permission:
    """``roles`` are the built-in roles that hold it, beside those that hold everything or all that is only read."""

    name: str
    meaning: str
    roles: frozenset[str] = frozenset()

    @property
    def reads(self) -> bool:
        return self.name.endswith(".read")


def _table(*permissions: tuple[str, str, frozenset[str]]) -> Mapping[str, Permission]:
    assert len({name for name, _, _ in permissions}) == len(permissions)
    return {name: Permission(name, meaning, roles) for name, meaning, roles in permissions}


# The platform's built-in roles. An administrator holds everything, an auditor all that only reads.
ADMINISTRATOR, OPERATIONS, FINANCE, RISK, AUDITOR = "administrator", "operations", "finance", "risk", "auditor"
# A merchant's. The owner holds everything, a viewer all that only reads.
OWNER, MERCHANT_FINANCE, DEVELOPER, VIEWER = "owner", "finance", "developer", "viewer"

_ops, _fin, _risk = frozenset({OPERATIONS}), frozenset({FINANCE}), frozenset({RISK})
_staff = _ops | _fin | _risk
_nobody: frozenset[str] = frozenset()

# One line a permission, by area. A new one goes here and beside its route, nowhere else.
PLATFORM_PERMISSIONS = _table(
    ("operators.read", "see operators and their sessions", _nobody),
    ("operators.create", "create an operator", _nobody),
    ("operators.edit", "rename an operator and set the roles", _nobody),
    ("operators.deactivate", "deactivate and reactivate an operator", _nobody),
    ("operators.reset", "reset an operator's password and authenticator, end the sessions", _nobody),
    ("roles.read", "see roles and permissions", _staff),
    ("roles.write", "create, change and retire custom roles", _nobody),
    ("service_tokens.read", "see service tokens", _nobody),
    ("service_tokens.create", "create a service token", _nobody),
    ("service_tokens.revoke", "revoke a service token", _nobody),
    ("proposals.read", "see proposals", _staff),
    ("proposals.decide", "approve or reject what another proposed, with the permission that it names", _staff),
    ("proposals.withdraw", "withdraw one's own proposal", _staff),
    ("audit.read", "see who did what", _risk),
    ("orders.read", "see orders, attempts and their stories, search by any number", _staff),
    ("refunds.read", "see refunds", _staff),
    ("payments.read", "see what the channels have received", _staff),
    ("suspense.read", "see money that is held", _staff),
    ("notices.read", "see the channels' notices", _staff),
    ("notices.read_again", "have a notice read again after a fix", _ops),
    ("ledger.read", "see the ledger's accounts, balances and transfers", _fin | _risk),
    ("reports.read", "see reports of payments: gross, refunds, fees, cost and margin", _fin),
    ("balances.freeze", "freeze and unfreeze an amount of a merchant's balance", _fin | _risk),
    ("balances.propose", "propose a top-up, an adjustment or a bank arrival", _ops | _fin),
    ("balances.approve", "approve such a proposal", _fin | _risk),
    ("api_keys.read", "see a merchant's API keys, never the keys themselves", _ops | _risk),
    ("api_keys.create", "make an API key for a merchant", _ops),
    ("api_keys.roll", "roll a merchant's API key", _ops),
    ("api_keys.revoke", "revoke a merchant's API key", _ops | _risk),
    ("codes.read", "see a merchant's static codes", _staff),
    ("codes.create", "make a static code for a merchant", _ops),
    ("codes.switch", "switch a merchant's static code on and off", _ops | _risk),
    ("webhooks.read", "see webhook endpoints, never their secrets", _staff),
    ("webhooks.enable", "switch a merchant's endpoint on", _ops),
    ("webhooks.disable", "switch a merchant's endpoint off", _ops | _risk),
    ("webhooks.test", "send a test event to a merchant's endpoint", _ops),
    ("deliveries.read", "see what was sent to merchants and what came back", _staff),
    ("deliveries.resend", "send a merchant what its endpoint has missed", _ops),
    ("merchants.read", "see merchants, their prices and limits", _staff),
    ("merchants.create", "create a merchant", _ops),
    ("merchants.edit", "edit a merchant: names, contacts, policy, allow-list", _ops),
    ("merchants.suspend", "suspend and reactivate a merchant", _ops | _risk),
    ("merchants.propose_payee", "propose a merchant's bank account for payouts", _ops),
    ("merchants.approve_payee", "approve a merchant's bank account for payouts", _fin),
    ("limits.write", "set a merchant's limits", _risk),
    ("products.read", "see products and their versions", _staff),
    ("products.write", "create, rename, list and unlist a product", _ops),
    ("rates.propose", "propose what a merchant pays: versions, products, prices of its own", _ops),
    ("rates.approve", "approve what a merchant pays", _fin),
    ("channel_accounts.read", "see channel accounts and fingerprints of their credentials", _staff),
    ("channel_accounts.write", "add and edit channel accounts", _nobody),
    ("channel_accounts.switch", "enable, disable and check channel accounts", _ops | _risk),
    ("applyments.read", "see merchants' applications at a channel, never their forms", _staff),
    ("applyments.submit", "apply for a merchant at a channel (进件), upload its papers", _ops),
    ("credentials.rotate", "rotate credentials", _nobody),
    ("merchant_users.read", "see a merchant's users", _staff),
    ("merchant_users.create", "create a merchant's user", _ops),
    ("merchant_users.edit", "rename a merchant's user and set the roles", _ops),
    ("merchant_users.deactivate", "deactivate and reactivate a merchant's user", _ops | _risk),
    ("merchant_users.reset", "reset a merchant user's password and authenticator, end the sessions", _ops),
    ("reconciliation.read", "see statement days, bills and discrepancies", _staff),
    ("reconciliation.run", "fetch, upload and match the bills of a day, close a day without differences", _ops | _fin),
    ("reconciliation.resolve", "propose a remedy for a discrepancy, or to close a day with open ones", _ops | _fin),
    ("reconciliation.approve", "approve such a proposal", _fin | _risk),
    ("settlements.read", "see settlements, settlement rules and holds", _staff),
    ("settlements.request", "settle a merchant now", _ops | _fin),
    ("settlements.approve", "approve a settlement's payout", _fin | _risk),
    ("settlements.rules", "set how a merchant is settled: risk days, cycle, amounts, fee", _fin),
    ("settlements.hold", "hold back a merchant's or an order's payments, and lift that", _fin | _risk),
    ("refunds.request", "give a merchant's money back to a payer", _ops | _fin),
    ("refunds.approve", "approve such a refund above the limit", _fin | _risk),
    ("payouts.export", "take the bank file of approved settlements, with whole account numbers", _fin),
    ("payouts.record", "say what a bank did with a payout, or that one came back", _fin),
    ("payouts.approve", "confirm what another said of a payout", _fin | _risk),
    ("payouts.cancel", "take a payout back that has not arrived", _fin | _risk),
    ("invoices.read", "see invoices for service fees", _fin | _ops),
    ("invoices.propose", "propose that an invoice was paid, or is written off", _fin | _ops),
    ("invoices.approve", "approve such a proposal", _fin | _risk),
    ("sharing.read", "see receivers of shares and what was shared", _staff),
    ("sharing.propose", "propose who may receive shares of a merchant's payments", _ops),
    ("sharing.approve", "approve such a proposal", _fin | _risk),
    ("sharing.remove", "take out a receiver of shares", _ops | _risk),
    ("suspense.propose", "propose what becomes of held money", _ops | _fin),
    ("suspense.approve", "approve such a proposal", _fin | _risk),
)

_devs, _mfin = frozenset({DEVELOPER}), frozenset({MERCHANT_FINANCE})

MERCHANT_PERMISSIONS = _table(
    ("users.read", "see the merchant's users", _devs | _mfin),
    ("users.create", "create a user", _nobody),
    ("users.edit", "rename a user and set the roles", _nobody),
    ("users.deactivate", "deactivate and reactivate a user", _nobody),
    ("users.reset", "reset a user's password and authenticator, end the sessions", _nobody),
)

PERMISSIONS: Mapping[Realm, Mapping[str, Permission]] = {
    Realm.PLATFORM: PLATFORM_PERMISSIONS,
    Realm.MERCHANT: MERCHANT_PERMISSIONS,
}
_ALL = {Realm.PLATFORM: ADMINISTRATOR, Realm.MERCHANT: OWNER}
_READS = {Realm.PLATFORM: AUDITOR, Realm.MERCHANT: VIEWER}
_OTHERS = {Realm.PLATFORM: (OPERATIONS, FINANCE, RISK), Realm.MERCHANT: (MERCHANT_FINANCE, DEVELOPER)}


def _held(realm: Realm, role: str) -> frozenset[str]:
    table = PERMISSIONS[realm].values()
    if role == _ALL[realm]:
        return frozenset(each.name for each in table)
    if role == _READS[realm]:
        return frozenset(each.name for each in table if each.reads)
    return frozenset(each.name for each in table if role in each.roles)


BUILT_IN: Mapping[Realm, Mapping[str, frozenset[str]]] = {
    realm: {role: _held(realm, role) for role in (_ALL[realm], *_OTHERS[realm], _READS[realm])} for realm in Realm
}


def everything(realm: Realm) -> str:
    """The role that holds all permissions, of which somebody always has to be left."""
    return _ALL[realm]


def permissions_of(realm: Realm, roles: Iterable[str], custom: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What these roles hold together. ``custom`` has the permissions of the roles that are not built in; one that is
    in neither holds nothing, and a permission that this version does not know is nobody's."""
    held: set[str] = set()
    for role in roles:
        held |= BUILT_IN[realm].get(role) or custom.get(role, frozenset())
    return frozenset(held & PERMISSIONS[realm].keys())


def known(realm: Realm, permission: str) -> bool:
    return permission in PERMISSIONS[realm]
