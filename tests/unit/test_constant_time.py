"""Secrets, and what proves that one knows them, are compared by hmac.compare_digest, whose time tells nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
SECRET = re.compile(r"(^|_)(signature|sign|digest|hexdigest|mac|hmac|token|secret|password|password_hash|pepper)$")
EQUALITY = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)

# Where something from outside is held against what we know: it has to be done so there.
COMPARED = {
    "adapters/inbound/web/forms.py": 1,  # a form's token and the cookie's
    "adapters/inbound/web/logins.py": 1,  # the state that came back from a channel's login
    "adapters/outbound/passwords/totp.py": 1,  # what the authenticator shows
    "adapters/outbound/roots.py": 1,  # the mac of an exported root
    "adapters/outbound/wechat/bills.py": 1,  # a bill's digest and the one that WeChat Pay told
    "domain/users.py": 1,  # recovery codes
}
# Plain comparisons by these names that no stranger can time to any use, each with its reason.
PUBLIC = {
    "adapters/inbound/web/assets.py": ("digest == found.digest", "of a file that anybody may read"),
    "adapters/outbound/alipay/sdk.py": (
        "base64.b64encode(plain).decode() == signature",
        "its own spelling, after the channel's public key has verified it",
    ),
    "adapters/outbound/wechat/signatures.py": (
        "base64.b64encode(plain).decode() != signature",
        "its own spelling, after the channel's public key has verified it",
    ),
    "application/chain_audit.py": (
        "digest_of(last, entry) != link.digest",
        "root.digest == link.digest",
        "both are in our own books, and neither is secret",
    ),
    "application/close_day.py": (
        "root.digest != closing.digest",
        "digest_of(previous.digest if previous else GENESIS, closing.day, closing.cut, content) != closing.digest",
        "both are in our own books, and neither is secret",
    ),
    "application/keep_own_access.py": (
        "user.password_hash != proven.password_hash",
        "two readings of one row: whether it was changed meanwhile",
    ),
    "application/sign_in.py": (
        "user.password_hash != proven.password_hash",
        "two readings of one row: whether it was changed meanwhile",
    ),
    "application/sign_out.py": (
        "locked.password_hash != user.password_hash",
        "two readings of one row: whether it was changed meanwhile",
    ),
    "domain/users.py": ("name in password", "whether a new password holds its owner's name"),
    "adapters/outbound/sql/codes.py": ("_t.c.token == bindparam('token')", "SQL: an index finds it or not"),
    "adapters/outbound/sql/keys.py": ("_t.c.digest == bindparam('digest')", "SQL, and the digest is keyed"),
    "adapters/outbound/sql/orders.py": ("_t.c.cashier_token == bindparam('token')", "SQL: an index finds it or not"),
    "adapters/outbound/sql/people.py": (
        "_s.c.digest == bindparam('digest')",
        "_st.c.digest == bindparam('digest')",
        "SQL, and the digest is keyed",
    ),
}


def sources() -> Iterator[tuple[str, str]]:
    """Ours: the sandbox is the world outside."""
    for path in sorted(SRC.rglob("*.py")):
        name = path.relative_to(SRC).as_posix()
        if not name.startswith("sandbox/"):
            yield name, path.read_text()


def name_of(node: ast.expr) -> str:
    """The last name of what is compared: of ``user.password_hash``, ``found.hexdigest()`` or ``asked["secret"]``."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Subscript):
        return str(node.slice.value) if isinstance(node.slice, ast.Constant) else name_of(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def plain(code: str) -> list[str]:
    """Comparisons, by anything but compare_digest, of what is called like a secret. That one is there at all, or is
    empty, may be asked."""
    if not re.search("sign|digest|mac|token|secret|password|pepper", code):
        return []
    return sorted(
        ast.unparse(node)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, EQUALITY) for operator in node.ops)
        and not any(isinstance(each, ast.Constant) for each in node.comparators)
        and any(SECRET.search(name_of(each)) for each in (node.left, *node.comparators))
    )


def test_no_secret_is_compared_in_a_time_that_tells_about_it() -> None:
    found = {name: compared for name, code in sources() if (compared := plain(code))}
    assert found == {name: sorted(said[:-1]) for name, said in PUBLIC.items()}


def test_whoever_holds_something_from_outside_against_a_secret_does_it_in_constant_time() -> None:
    calls = {name: code.count("hmac.compare_digest(") for name, code in sources()}
    assert {name: n for name, n in calls.items() if n} == COMPARED


@pytest.mark.parametrize(
    "code",
    [
        "given == user.token",
        "if signature != expected: pass",
        "hashlib.sha256(x).hexdigest() == given",
        "given in secret",
        "asked['secret'] != ours",
        "x = [each for each in those if each.digest == given]",
        "def f(mac, said):\n    return mac == said",
    ],
)
def test_a_plain_comparison_is_noticed_in_every_spelling(code: str) -> None:
    assert plain(code)


@pytest.mark.parametrize(
    "code", ["hmac.compare_digest(given, token)", "token is None", "signature != ''", "design == other", "token > 3"]
)
def test_what_tells_nothing_is_let_be(code: str) -> None:
    assert not plain(code)
