"""What survives a restart, in one SQLite file: registrations, trades, notices and their deliveries, the shop."""

import sqlite3
from pathlib import Path
from typing import TypeVar

import msgspec

from sandbox.model import App, AuthCode, Channel, Delivery, Merchant, Notice, Settings, ShopOrder, Trade

_SCHEMA = """
CREATE TABLE IF NOT EXISTS registration (channel TEXT, account TEXT, body BLOB, PRIMARY KEY (channel, account));
CREATE TABLE IF NOT EXISTS trade (channel TEXT, account TEXT, number TEXT, code TEXT UNIQUE, closes_at REAL, body BLOB,
                                  PRIMARY KEY (channel, account, number));
CREATE INDEX IF NOT EXISTS trade_number ON trade (number);
CREATE INDEX IF NOT EXISTS trade_due ON trade (closes_at) WHERE closes_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS payment (channel TEXT, account TEXT, transaction_no TEXT, number TEXT,
                                    PRIMARY KEY (channel, account, transaction_no));
CREATE TABLE IF NOT EXISTS notice (id TEXT PRIMARY KEY, number TEXT, next_at REAL, body BLOB);
CREATE INDEX IF NOT EXISTS notice_number ON notice (number);
CREATE INDEX IF NOT EXISTS notice_due ON notice (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY, number TEXT, body BLOB);
CREATE INDEX IF NOT EXISTS delivery_number ON delivery (number);
CREATE TABLE IF NOT EXISTS auth_code (code TEXT PRIMARY KEY, body BLOB);
CREATE TABLE IF NOT EXISTS login_code (code TEXT PRIMARY KEY, account TEXT, expires_at REAL);
CREATE TABLE IF NOT EXISTS shop_order (number TEXT PRIMARY KEY, created_at REAL, body BLOB);
CREATE TABLE IF NOT EXISTS thing (kind TEXT, key TEXT, due REAL, body BLOB, PRIMARY KEY (kind, key));
CREATE INDEX IF NOT EXISTS thing_due ON thing (kind, due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS settings (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB);
"""
_T = TypeVar("_T")
_encode = msgspec.json.encode


class Store:
    """Each method is one small transaction: what a channel has answered for, it has written down."""

    def __init__(self, directory: Path | None) -> None:
        file = directory / "sandbox.sqlite3" if directory else None
        if file:
            file.touch(mode=0o600)
        self._db = sqlite3.connect(file or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # A sandbox may lose its last moments with the machine's power, not with the process.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def _read(self, kind: type[_T], sql: str, *values: object) -> list[_T]:
        return [msgspec.json.decode(body, type=kind) for (body,) in self._db.execute(sql, values)]

    def _first(self, kind: type[_T], sql: str, *values: object) -> _T | None:
        found = self._read(kind, f"{sql} LIMIT 1", *values)
        return found[0] if found else None

    # Registrations

    def register(self, who: App | Merchant) -> None:
        channel, account = ("alipay", who.app_id) if isinstance(who, App) else ("wechat", who.mchid)
        self._db.execute("INSERT OR REPLACE INTO registration VALUES (?, ?, ?)", (channel, account, _encode(who)))

    def app(self, app_id: str) -> App | None:
        return self._first(App, "SELECT body FROM registration WHERE channel = 'alipay' AND account = ?", app_id)

    def merchant(self, mchid: str) -> Merchant | None:
        return self._first(Merchant, "SELECT body FROM registration WHERE channel = 'wechat' AND account = ?", mchid)

    def accounts(self, channel: Channel) -> list[str]:
        rows = self._db.execute("SELECT account FROM registration WHERE channel = ? ORDER BY rowid", (channel,))
        return [account for (account,) in rows]

    # Trades

    def save_trade(self, trade: Trade) -> None:
        # Only Alipay closes trades by itself, and only those a payer has scanned.
        closes = trade.channel == "alipay" and trade.state == "waiting"
        row = (trade.channel, trade.account, trade.number, trade.code, trade.deadline if closes else None)
        self._db.execute("BEGIN")
        self._db.execute("INSERT OR REPLACE INTO trade VALUES (?, ?, ?, ?, ?, ?)", (*row, _encode(trade)))
        for number in {payment.transaction for payment in trade.payments} | {trade.transaction} - {""}:
            key = (trade.channel, trade.account, number, trade.number)
            self._db.execute("INSERT OR IGNORE INTO payment VALUES (?, ?, ?, ?)", key)
        self._db.execute("COMMIT")

    def trade(self, channel: Channel, account: str, number: str) -> Trade | None:
        sql = "SELECT body FROM trade WHERE channel = ? AND account = ? AND number = ?"
        return self._first(Trade, sql, channel, account, number)

    def trade_by_transaction(self, channel: Channel, account: str, transaction: str) -> Trade | None:
        sql = (
            "SELECT trade.body FROM trade JOIN payment USING (channel, account, number) "
            "WHERE channel = ? AND account = ? AND transaction_no = ?"
        )
        return self._first(Trade, sql, channel, account, transaction)

    def trade_by_code(self, code: str) -> Trade | None:
        return self._first(Trade, "SELECT body FROM trade WHERE code = ?", code)

    def trades(self, channel: str | None = None, number: str | None = None) -> list[Trade]:
        sql = "SELECT body FROM trade WHERE channel = ifnull(?, channel) AND number = ifnull(?, number) ORDER BY rowid"
        return self._read(Trade, sql, channel, number)

    def trades_to_close(self, now: float) -> list[Trade]:
        return self._read(Trade, "SELECT body FROM trade WHERE closes_at < ?", now)

    # What a payer's wallet and browser hand over

    def save_auth_code(self, code: AuthCode) -> None:
        self._db.execute("INSERT OR REPLACE INTO auth_code VALUES (?, ?)", (code.code, _encode(code)))

    def auth_code(self, code: str) -> AuthCode | None:
        return self._first(AuthCode, "SELECT body FROM auth_code WHERE code = ?", code)

    def save_login(self, code: str, account: str, expires_at: float) -> None:
        """A code by which one application (or merchant) may learn once who the payer is."""
        self._db.execute("INSERT INTO login_code VALUES (?, ?, ?)", (code, account, expires_at))

    def take_login(self, code: str, account: str, now: float) -> bool:
        """Whether it was one; it is none any more."""
        sql = "DELETE FROM login_code WHERE code = ? AND account = ? AND expires_at > ?"
        return self._db.execute(sql, (code, account, now)).rowcount == 1

    # Notices and what became of them

    def save_notice(self, notice: Notice) -> None:
        row = (notice.id, notice.number, notice.next_at, _encode(notice))
        self._db.execute("INSERT OR REPLACE INTO notice VALUES (?, ?, ?, ?)", row)

    def step_notice(self, notice: Notice) -> None:
        """Writes down how far a notice has come, unless it was forgotten meanwhile."""
        row = (notice.next_at, _encode(notice), notice.id)
        self._db.execute("UPDATE notice SET next_at = ?, body = ? WHERE id = ?", row)

    def notices(self, number: str) -> list[Notice]:
        return self._read(Notice, "SELECT body FROM notice WHERE number = ? ORDER BY rowid", number)

    def notices_due(self, now: float) -> list[Notice]:
        return self._read(Notice, "SELECT body FROM notice WHERE next_at <= ? ORDER BY next_at LIMIT 2000", now)

    def log(self, delivery: Delivery) -> None:
        row = (delivery.out_trade_no, _encode(delivery))
        self._db.execute("INSERT INTO delivery (number, body) VALUES (?, ?)", row)

    def deliveries(self, number: str | None) -> list[Delivery]:
        sql = "SELECT body FROM delivery WHERE number = ifnull(?, number) ORDER BY id"
        return self._read(Delivery, sql, number)

    # Whatever else one channel keeps: where refunds are, log-in codes. `due` is when a thing takes its next step.

    def put(self, kind: str, key: str, thing: object, *, due: float | None = None) -> None:
        self._db.execute("INSERT OR REPLACE INTO thing VALUES (?, ?, ?, ?)", (kind, key, due, _encode(thing)))

    def thing(self, kind: str, key: str, type_: type[_T]) -> _T | None:
        return self._first(type_, "SELECT body FROM thing WHERE kind = ? AND key = ?", kind, key)

    def things(self, kind: str, type_: type[_T]) -> list[_T]:
        return self._read(type_, "SELECT body FROM thing WHERE kind = ? ORDER BY rowid", kind)

    def things_due(self, kind: str, type_: type[_T], now: float) -> list[_T]:
        return self._read(type_, "SELECT body FROM thing WHERE kind = ? AND due <= ? ORDER BY due", kind, now)

    # The shop, the switches, and a clean slate

    def save_shop_order(self, order: ShopOrder) -> None:
        row = (order.merchant_order_no, order.created_at, _encode(order))
        self._db.execute("INSERT OR REPLACE INTO shop_order VALUES (?, ?, ?)", row)

    def shop_order(self, number: str) -> ShopOrder | None:
        return self._first(ShopOrder, "SELECT body FROM shop_order WHERE number = ?", number)

    def shop_orders(self) -> list[ShopOrder]:
        return self._read(ShopOrder, "SELECT body FROM shop_order ORDER BY created_at")

    def settings(self) -> Settings:
        return self._first(Settings, "SELECT body FROM settings") or Settings()

    def save_settings(self, settings: Settings) -> None:
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", (_encode(settings),))

    def reset(self) -> None:
        """Forgets what happened; who is registered and how the shop is set up stays."""
        for table in ("trade", "payment", "notice", "delivery", "shop_order", "auth_code", "login_code", "thing"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above
