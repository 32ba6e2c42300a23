"""The `pitaya` command: each word starts one process of the house, or hands its use case to the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command. What the operator can mend is told in one line, with exit status 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["sandbox"]:
        # A process of its own, not an import: the sandbox is the outside world, and no production image holds it.
        os.execv(sys.executable, [sys.executable, "-m", "sandbox", *words[1:]])  # noqa: S606
    arguments = _parser().parse_args(words)
    from bootstrap.settings import SettingsError

    try:
        sys.exit(arguments.run(arguments))
    except SettingsError as error:
        print(f"pitaya: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    from bootstrap.merchant_commands import add_channel_accounts, add_keys, add_merchant_actions

    parser = argparse.ArgumentParser(prog="pitaya", description="Pitaya (火龙果), an open-source payment system.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="the whole system in this terminal, on servers and a sandbox of its own")
    demo.add_argument("--state", type=Path, default=Path(".pitaya"), help="where it keeps its state (default .pitaya)")
    demo.add_argument(
        "--smoke", action="store_true", help="pay one order through each channel, then stop; exit 0 if all fits"
    )
    demo.set_defaults(run=_demo)

    web = commands.add_parser("web", help="API, notices and cashier over HTTP")
    web.add_argument("--host", default="127.0.0.1")
    web.add_argument("--port", type=int, default=8000)
    web.add_argument("--workers", type=int, default=1)
    web.set_defaults(run=_web)

    worker = commands.add_parser("worker", help="the Celery worker: polls, expiries, notifications")
    worker.add_argument("--concurrency", type=int, default=2)
    worker.set_defaults(run=_worker)

    commands.add_parser("beat", help="the scheduler; any number may run").set_defaults(run=_beat)
    commands.add_parser("migrate", help="bring the database to this version, as PITAYA_MIGRATION_URL").set_defaults(
        run=_migrate
    )

    commands.add_parser(
        "doctor", help="check every promise on the database; exit 1 if one is broken, 0 if all are kept"
    ).set_defaults(run=_doctor)

    commands.add_parser("sandbox", help="simulated Alipay, WeChat Pay, phone and shop (see pitaya sandbox --help)")

    merchant = commands.add_parser("merchant", help="merchants").add_subparsers(required=True, metavar="ACTION")
    create = merchant.add_parser("create", help="open a merchant; prints its API key and signing secret once")
    create.add_argument("--name", required=True)
    create.add_argument("--mode", choices=("test", "live"), default="test")
    create.add_argument("--rate-ppm", type=int, required=True, help="our fee in parts per million: 0.6 %% is 6000")
    create.add_argument("--late-payment", choices=("refund", "accept"), default="refund")
    create.add_argument("--account", type=Path, action="append", default=[], help="a JSON file of one channel account")
    create.set_defaults(run=_merchant_create)
    add_merchant_actions(merchant)
    add_channel_accounts(commands)
    add_keys(commands)
    _days(commands)
    _people(commands)
    _developers(commands)
    return parser


def _days(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What is done by hand to days that are over."""
    reconcile = commands.add_parser("reconcile", help="fetch and match one day of one channel account, now")
    reconcile.add_argument("--date", required=True, help="the day in Shanghai, as 2026-11-01")
    reconcile.add_argument("--channel-account", required=True, metavar="ID")
    reconcile.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="BILL=PATH",
        help="take this file, gzipped or not: trade=PATH, fund:BASIC=PATH",
    )
    reconcile.set_defaults(run=_reconcile)
    close = commands.add_parser("close-day", help="close the ledger's days that are over; again changes nothing")
    close.add_argument("--date", help="up to this day in Shanghai, as 2026-11-01 (default: yesterday)")
    close.set_defaults(run=_close_day)
    ledger = commands.add_parser("ledger", help="closed days").add_subparsers(required=True, metavar="ACTION")
    ledger.add_parser(
        "verify", help="look for transfers of closed days edited, removed or inserted; exit 1 if there are any"
    ).set_defaults(run=_ledger_verify)


def _developers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """For those who build on the merchant API: over HTTP, in test mode, with no setting of ours."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--api-key", default=os.environ.get("PITAYA_API_KEY", ""), help="default: PITAYA_API_KEY")
    common.add_argument("--url", default="http://127.0.0.1:8000", help="where Pitaya is (default %(default)s)")
    listen = commands.add_parser("listen", parents=[common], help="forward your test events to a program of yours")
    listen.add_argument("--forward-to", required=True, metavar="URL")
    listen.add_argument("--type", action="append", default=[], help="only this type; may be given several times")
    listen.add_argument(
        "--from-start", action="store_true", help="everything that ever happened, not just what follows"
    )
    listen.add_argument("--count", type=int, help="stop after so many")
    listen.set_defaults(run=_listen)
    trigger = commands.add_parser("trigger", parents=[common], help="make a test event happen, in the sandbox")
    trigger.add_argument("event", choices=("order.closed", "order.paid"))
    trigger.add_argument("--sandbox", default="http://127.0.0.1:8010", help="where it is (default %(default)s)")
    trigger.add_argument("--amount", type=int, default=1990, help="in fen (default %(default)s)")
    trigger.add_argument("--method", choices=("alipay_qr", "wechat_native"), default="alipay_qr")
    trigger.set_defaults(run=_trigger)


def _people(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    operator = commands.add_parser("operator", help="the platform's people").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = operator.add_parser("create", help="let somebody in; prints a first password once")
    create.add_argument("--login", required=True)
    create.add_argument("--name", help="the name that others see (default: the login)")
    create.add_argument("--role", action="append", default=[], help="may be given several times (see permissions)")
    create.set_defaults(run=_operator_create)
    reset = operator.add_parser("reset", help="a new first password, printed once; every session ends")
    reset.add_argument("--login", required=True)
    reset.add_argument("--authenticator", action="store_true", help="the authenticator goes, too")
    reset.set_defaults(run=_operator_reset)
    audit = commands.add_parser("audit", help="what was done").add_subparsers(required=True, metavar="ACTION")
    audit.add_parser(
        "verify", help="look for audit records edited, removed or inserted; exit 1 if there are any"
    ).set_defaults(run=_audit_verify)
    commands.add_parser("permissions", help="who may do what: every permission and its roles").set_defaults(
        run=_permissions
    )


def _demo(arguments: argparse.Namespace) -> int:
    from bootstrap.demo import run_demo

    return run_demo(arguments.state, smoke=arguments.smoke)


def _web(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_web

    return run_web(arguments.host, arguments.port, arguments.workers)


def _worker(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_worker

    return run_worker(arguments.concurrency)


def _beat(_: argparse.Namespace) -> int:
    from bootstrap.processes import run_beat

    return run_beat()


def _migrate(_: argparse.Namespace) -> int:
    from bootstrap.processes import run_migrate

    return run_migrate()


def _doctor(_: argparse.Namespace) -> int:
    from bootstrap.processes import run_doctor

    return run_doctor()


def _merchant_create(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_merchant_create

    return run_merchant_create(arguments)


def _reconcile(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_reconcile

    return run_reconcile(arguments)


def _close_day(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_close_day

    return run_close_day(arguments)


def _ledger_verify(_: argparse.Namespace) -> int:
    from bootstrap.processes import run_ledger_verify

    return run_ledger_verify()


def _operator_create(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_operator_create

    return run_operator_create(arguments)


def _operator_reset(arguments: argparse.Namespace) -> int:
    from bootstrap.processes import run_operator_reset

    return run_operator_reset(arguments)


def _audit_verify(_: argparse.Namespace) -> int:
    from bootstrap.processes import run_audit_verify

    return run_audit_verify()


def _listen(arguments: argparse.Namespace) -> int:
    from bootstrap.developers import run_listen

    return run_listen(arguments)


def _trigger(arguments: argparse.Namespace) -> int:
    from bootstrap.developers import run_trigger

    return run_trigger(arguments)


def _permissions(_: argparse.Namespace) -> int:
    from adapters.inbound.cli.operators import list_permissions

    print(list_permissions())
    return 0


if __name__ == "__main__":
    main()
