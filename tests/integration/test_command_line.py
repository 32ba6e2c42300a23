"""`pitaya` as an operator types it: opening a merchant, and one clear line for what is wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bootstrap.demo_merchant import key_pair
from tests.integration.stack import settings_of


def pitaya(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PITAYA_")}
    return subprocess.run(
        [sys.executable, "-m", "bootstrap.main", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=bare | environment,
    )


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return settings_of(database_url, redis_url, "https://pay.example", "http://127.0.0.1:9")


@pytest.fixture
def account(tmp_path: Path) -> dict[str, Any]:
    return {
        "channel": "alipay",
        "app_id": "2021000000000001",
        "payee": "2088000000000001",
        "methods": ["alipay_qr"],
        "public": {"alipay_public_key": key_pair()[1]},
        "secrets": {"app_private_key": key_pair()[0]},
        "of_platform": False,
    }


def create(environment: dict[str, str], file: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    words = ("merchant", "create", "--name", "Café", "--rate-ppm", "6000", "--account", str(file))
    return pitaya(*words, *more, **environment)


def test_a_merchant_is_opened_and_its_secrets_are_shown_once(
    environment: dict[str, str], account: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "alipay.json"
    file.write_text(json.dumps(account))
    done = create(environment, file)
    assert done.returncode == 0, done.stderr
    assert "pty_sk_test_" in done.stdout
    assert "whsec_" in done.stdout
    assert "cha_" in done.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"secrets": {"app_private_key": "not a key"}}, "app_private_key"),
        ({"methods": ["wechat_native"]}, "method_invalid"),
        ({"channel": "paypal"}, "channel"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_an_unusable_account_is_refused_by_name_and_never_repeated(
    environment: dict[str, str], account: dict[str, Any], tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    file = tmp_path / "alipay.json"
    file.write_text(json.dumps(account | change))
    done = create(environment, file)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "PRIVATE KEY" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    done = create(environment, tmp_path / "none.json")
    assert (done.returncode, "none.json" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("rate", ["-1", "1000001"])
def test_a_rate_beyond_its_bounds_is_refused(
    environment: dict[str, str], account: dict[str, Any], tmp_path: Path, rate: str
) -> None:
    file = tmp_path / "alipay.json"
    file.write_text(json.dumps(account))
    done = create(environment, file, f"--rate-ppm={rate}")
    assert (done.returncode, "rate_invalid" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "command",
    [("close-day", "--date"), ("reconcile", "--channel-account", "cha_x", "--date")],
    ids=lambda each: each[0],
)
def test_a_day_that_is_none_is_told_before_the_database_is_asked(
    environment: dict[str, str], command: tuple[str, ...], tmp_path: Path
) -> None:
    away = f"postgresql://pitaya@/pitaya?host={tmp_path}"
    done = pitaya(*command, "yesterday", **environment | {"PITAYA_DATABASE_URL": away})
    assert (done.returncode, done.stderr) == (1, "pitaya: a day is written as 2026-11-01 (day_invalid)\n")


@pytest.mark.parametrize("command", [("web",), ("worker",), ("beat",), ("migrate",)])
def test_a_missing_setting_is_one_line(command: tuple[str, ...]) -> None:
    done = pitaya(*command)
    assert done.returncode == 2
    assert done.stderr.startswith("pitaya: PITAYA_")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PITAYA_MASTER_KEYS", "1:short"),
        ("PITAYA_MASTER_KEYS", "nonsense"),
        ("PITAYA_KEY_PEPPER", "abc123"),
        ("PITAYA_DATABASE_URL", "mysql://somewhere/else"),
        ("PITAYA_POOL_SIZE", "many"),
        ("PITAYA_CRASH", "nowhere:1"),
    ],
)
def test_an_unusable_setting_is_named_and_its_value_is_not_repeated(
    environment: dict[str, str], name: str, value: str, tmp_path: Path
) -> None:
    done = create(environment | {name: value}, tmp_path / "none.json")
    assert done.returncode == 2
    assert name in done.stderr or name == "PITAYA_DATABASE_URL"
    assert value not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sandbox_is_started_as_a_process_of_its_own() -> None:
    done = pitaya("sandbox", "--help")
    assert done.returncode == 0
    assert "--state" in done.stdout


def test_the_first_operator_is_let_in_and_the_password_is_shown_once(environment: dict[str, str]) -> None:
    words = ("operator", "create", "--login", "Mina", "--role", "administrator")
    done = pitaya(*words, **environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"first password   \w{4}-\w{4}-\w{4}-\w{4}\n", done.stdout)
    again = pitaya(*words, **environment)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "pitaya: this login name is taken (login_taken)\n"
    reset = pitaya("operator", "reset", "--login", "mina", "--authenticator", **environment)
    assert reset.returncode == 0, reset.stderr
    assert "first password" in reset.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "--login", "mina", "--role", "boss"), "role_unknown"),
        (("create", "--login", "m i n a"), "login_invalid"),
        (("reset", "--login", "nobody"), "not_found"),
    ],
)
def test_an_operator_who_cannot_be_is_one_clear_line(
    environment: dict[str, str], words: tuple[str, ...], code: str
) -> None:
    done = pitaya("operator", *words, **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pitaya: ")
    assert done.stderr.endswith(f"({code})\n")


def test_the_permissions_are_printed_without_a_database() -> None:
    done = pitaya("permissions")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["audit.read"]]
    assert line.endswith("administrator, risk, auditor")


def test_an_audit_that_nobody_has_touched_verifies(environment: dict[str, str], tmp_path: Path) -> None:
    environment = environment | {"PITAYA_AUDIT_EXPORT": str(tmp_path / "audit")}
    assert pitaya("operator", "create", "--login", "mina", **environment).returncode == 0
    done = pitaya("audit", "verify", **environment)
    assert done.returncode == 0, done.stderr
    assert "nothing was edited, removed or inserted" in done.stdout
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit-roots.jsonl").write_text("{}\n")
    spoilt = pitaya("audit", "verify", **environment)
    assert spoilt.returncode == 1
    assert "TAMPERED           audit-roots.jsonl:1" in spoilt.stdout


def test_keys_are_made_rolled_and_revoked_and_each_is_shown_once(
    environment: dict[str, str], account: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "alipay.json"
    file.write_text(json.dumps(account))
    found = re.search(r"mch_\w+", create(environment, file).stdout)
    assert found is not None

    def key(*words: str) -> Any:
        done = pitaya("key", words[0], "--merchant", found[0], *words[1:], **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = key("create", "--name", "till")
    assert made["key"].startswith("pty_sk_test_")
    rolled = key("roll", made["id"], "--overlap-hours", "1")
    assert rolled["key"] != made["key"]
    assert key("revoke", rolled["id"])["revoked_at"] is not None
    listed = key("list")
    assert [one["name"] for one in listed].count("till") == 2
    assert made["key"] not in json.dumps(listed)


def test_keys_of_a_merchant_that_does_not_exist_are_not_found(environment: dict[str, str]) -> None:
    done = pitaya("key", "create", "--merchant", "mch_0", **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not_found" in done.stderr
