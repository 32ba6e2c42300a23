"""`pitaya merchant`, `pitaya key` and `pitaya channel-account`: the words of each, and the use case it is handed."""

import argparse
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from adapters.inbound.cli import keys, merchant_admin

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
Act = Callable[[Any, argparse.Namespace], Awaitable[str]]


def add_merchant_actions(actions: Actions) -> None:
    """Beside ``pitaya merchant create``."""
    actions.add_parser("list", help="the newest merchants").set_defaults(run=_run, act=_list)
    _one(actions, "show", "a merchant with its prices and limits", _show)
    edit = _one(actions, "edit", "what is given changes", _edit)
    edit.add_argument("--name")
    edit.add_argument("--short-name")
    edit.add_argument("--late-payment", choices=("refund", "accept"))
    edit.add_argument(
        "--network", action="append", help='from where its API keys work, instead of before; "" for anywhere'
    )
    for word, help_, act in (
        ("suspend", "no new orders and attempts; what is on its way comes to its end", _suspend),
        ("reactivate", "it may place orders again", _reactivate),
    ):
        _one(actions, word, help_, act).add_argument("--reason", required=True, help="for the audit")
    limit = _one(actions, "limit", "the limits of one method, in place of those that stand", _limit)
    limit.add_argument("--method", required=True)
    limit.add_argument("--single", type=int, help="the most of one payment, in fen")
    limit.add_argument("--daily", type=int, help="the most of one day, in fen")


def add_channel_accounts(commands: Actions) -> None:
    actions = commands.add_parser("channel-account", help="where money lands").add_subparsers(
        required=True, metavar="ACTION"
    )
    listed = actions.add_parser("list", help="the newest accounts")
    listed.add_argument("--merchant", help="only those that it owns")
    listed.set_defaults(run=_run, act=_list_accounts)
    _one(actions, "show", "an account with its credential's fingerprints", _show_account)
    add = actions.add_parser("add", help="from a JSON file; the channel is asked whether it takes the credential")
    add.add_argument("file", type=Path)
    add.add_argument("--no-check", action="store_true", help="do not ask (test mode only)")
    add.set_defaults(run=_run, act=_add_account)
    _one(actions, "enable", "new attempts may go through it", _enable)
    _one(actions, "disable", "nothing new goes through it", _disable)
    _one(actions, "check", "ask the channel whether it takes the credential", _check)
    rotate = _one(actions, "rotate", "new keys, from a JSON file with public and secrets", _rotate)
    rotate.add_argument("file", type=Path)
    rotate.add_argument("--overlap-hours", type=int, default=72, help="how long the keys before still verify")
    rotate.add_argument("--no-check", action="store_true", help="do not ask the channel (test mode only)")


def add_keys(commands: Actions) -> None:
    actions = commands.add_parser("key", help="a merchant's API keys").add_subparsers(required=True, metavar="ACTION")
    for word, help_, act in (
        ("list", "all, newest first", _list_keys),
        ("create", "another one, shown once", _create_key),
        ("roll", "another in its place, shown once", _roll_key),
        ("revoke", "dead at once, for good", _revoke_key),
    ):
        action = actions.add_parser(word, help=help_)
        action.add_argument("--merchant", required=True, metavar="ID")
        action.add_argument("--mode", choices=("test", "live"), default="test")
        action.set_defaults(run=_run, act=act)
        if word == "create":
            action.add_argument("--name", default="")
        if word in ("roll", "revoke"):
            action.add_argument("id")
        if word == "roll":
            action.add_argument("--overlap-hours", type=int, default=24, help="how long the old one still works")


def _one(actions: Actions, word: str, help_: str, act: Act) -> argparse.ArgumentParser:
    parser = actions.add_parser(word, help=help_)
    parser.add_argument("id")
    parser.set_defaults(run=_run, act=act)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from bootstrap.container import opened
    from bootstrap.processes import printed
    from bootstrap.settings import Settings

    async def run() -> str:
        async with opened(Settings.from_environment(os.environ)) as container:
            said: str = await arguments.act(container, arguments)
            return said

    return printed(run())


async def _list(container: Any, _: argparse.Namespace) -> str:
    return await merchant_admin.list_merchants(container.keep_merchants())


async def _show(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.show_merchant(container.keep_merchants(), arguments.id)


async def _edit(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.edit_merchant(
        container.keep_merchants(),
        arguments.id,
        name=arguments.name,
        short_name=arguments.short_name,
        late_payment=arguments.late_payment,
        networks=arguments.network,
    )


async def _suspend(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.suspend_merchant(
        container.keep_merchants(), arguments.id, reason=arguments.reason, suspended=True
    )


async def _reactivate(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.suspend_merchant(
        container.keep_merchants(), arguments.id, reason=arguments.reason, suspended=False
    )


async def _limit(container: Any, arguments: argparse.Namespace) -> str:
    keep, asked = container.keep_merchants(), arguments
    return await merchant_admin.limit_merchant(
        keep, asked.id, method=asked.method, single=asked.single, daily=asked.daily
    )


async def _list_keys(container: Any, asked: argparse.Namespace) -> str:
    return await keys.list_keys(container.keep_keys(), container.keep_merchants(), asked.merchant, asked.mode)


async def _create_key(container: Any, asked: argparse.Namespace) -> str:
    return await keys.create_key(
        container.keep_keys(), container.keep_merchants(), asked.merchant, asked.mode, asked.name
    )


async def _roll_key(container: Any, asked: argparse.Namespace) -> str:
    return await keys.roll_key(container.keep_keys(), asked.merchant, asked.mode, asked.id, asked.overlap_hours)


async def _revoke_key(container: Any, asked: argparse.Namespace) -> str:
    return await keys.revoke_key(container.keep_keys(), asked.merchant, asked.mode, asked.id)


async def _list_accounts(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.list_accounts(container.keep_accounts(), arguments.merchant)


async def _show_account(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.show_account(container.keep_accounts(), arguments.id)


async def _add_account(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.add_account(container.keep_accounts(), arguments.file, check=not arguments.no_check)


async def _enable(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.switch_account(container.keep_accounts(), arguments.id, enabled=True)


async def _disable(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.switch_account(container.keep_accounts(), arguments.id, enabled=False)


async def _check(container: Any, arguments: argparse.Namespace) -> str:
    return await merchant_admin.check_account(container.keep_accounts(), arguments.id)


async def _rotate(container: Any, arguments: argparse.Namespace) -> str:
    keep, asked = container.keep_accounts(), arguments
    return await merchant_admin.rotate_account(
        keep, asked.id, asked.file, overlap_hours=asked.overlap_hours, check=not asked.no_check
    )
