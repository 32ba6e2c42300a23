"""Whoever owns the database can change any row, and is found out: every way to tamper, tried as the owner."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.outbound.roots import FILE, FileAuditRoots
from application.chain_audit import ChainAudit, ExportAuditRoot, Verified, VerifyAudit
from domain.audit_chain import Entry, chained
from tests.contracts.people import done
from tests.contracts.stage import Stage
from tests.fakes.clock import FakeClock

Owner = Any  # asyncpg's connection, generic only in its stubs
KEY = b"a pepper of thirty-two characters"


class Kept:
    """Nine records, chained; the root exported at the sixth, three more since."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage, self.clock = stage, FakeClock()
        self.roots = FileAuditRoots(directory, KEY)
        self.file = directory / FILE
        self.ids: list[str] = []

    async def add(self, count: int) -> None:
        for _ in range(count):
            record = done(self.stage)
            async with self.stage.unit_of_work() as uow:
                await uow.audit.add(record)
            self.ids.append(record.id)
        made, chain = 0, ChainAudit(self.stage.unit_of_work)
        async with asyncio.timeout(20):
            while made < count:
                made += await chain()
                await asyncio.sleep(0.01)

    async def export(self) -> int:
        self.clock.advance(24 * 3600)
        return await ExportAuditRoot(self.stage.unit_of_work, self.roots, self.clock)()

    async def verify(self) -> Verified:
        return await VerifyAudit(self.stage.unit_of_work, self.roots)()


@pytest.fixture
async def kept(stage: Stage, tmp_path: Path) -> Kept:
    kept = Kept(stage, tmp_path / "export")
    await kept.add(6)
    assert await kept.export() == 1
    await kept.add(3)
    return kept


async def test_an_untouched_database_verifies(kept: Kept) -> None:
    verified = await kept.verify()
    assert list(verified.findings) == []
    assert (verified.chained, verified.pending, verified.roots) == (9, 0, 1)
    assert verified.last_root is not None
    assert verified.last_root.position == 6


async def test_a_root_is_exported_once_a_day_and_only_when_there_is_more(kept: Kept) -> None:
    assert await ExportAuditRoot(kept.stage.unit_of_work, kept.roots, kept.clock)() == 0
    assert await kept.export() == 1
    assert await kept.export() == 0
    assert [root.position for root in await kept.roots.read()] == [6, 9]
    assert list((await kept.verify()).findings) == []


EDITS = [
    ("actor_id", "'opr_other'"), ("actor_name", "'x'"), ("actor_kind", "'system'"), ("actor_roles", "'[]'"),
    ("actor_merchant_id", "NULL"), ("behind", "NULL"), ("address", "NULL"), ("request_id", "'x'"),
    ("action", "'merchant.praised'"), ("object_id", "'mch_2'"), ("merchant_id", "NULL"), ("before", "'{}'"),
    ("after", """'{"active": true}'"""), ("at", "at + interval '1 microsecond'"), ("xid", "'3'::xid8"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), EDITS)
async def test_every_edited_column_is_found(kept: Kept, owner: Owner, column: str, value: str) -> None:
    await owner.execute(f"UPDATE audit_record SET {column} = {value} WHERE id = '{kept.ids[2]}'")
    findings = (await kept.verify()).findings
    assert any(f"record {kept.ids[2]}" in finding for finding in findings), findings


REMOVALS = {
    "a record alone": ["DELETE FROM audit_record WHERE id = '{2}'"],
    "its link, too": ["DELETE FROM audit_link WHERE record_id = '{2}'", "DELETE FROM audit_record WHERE id = '{2}'"],
    "a link alone": ["DELETE FROM audit_link WHERE record_id = '{2}'"],
    "the first one": ["DELETE FROM audit_link WHERE position = 1", "DELETE FROM audit_record WHERE id = '{0}'"],
    "the end, up to before the root": [
        "DELETE FROM audit_link WHERE position > 4",
        "DELETE FROM audit_record WHERE NOT EXISTS (SELECT FROM audit_link WHERE record_id = audit_record.id)",
    ],
    "everything": ["TRUNCATE audit_link, audit_record"],
}


@pytest.mark.parametrize("statements", REMOVALS.values(), ids=REMOVALS.keys())
async def test_what_is_removed_is_found(kept: Kept, owner: Owner, statements: list[str]) -> None:
    await owner.execute("ALTER TABLE audit_link DROP CONSTRAINT fk_audit_link_record_id")
    try:
        for statement in statements:
            await owner.execute(statement.format(*kept.ids))
        assert (await kept.verify()).findings
    finally:
        await owner.execute("TRUNCATE audit_link, audit_record")
        await owner.execute(
            "ALTER TABLE audit_link ADD CONSTRAINT fk_audit_link_record_id"
            " FOREIGN KEY (record_id) REFERENCES audit_record (id)"
        )


async def test_what_is_inserted_before_the_chains_end_is_found(kept: Kept, owner: Owner) -> None:
    columns = ", ".join(
        row["column_name"]
        for row in await owner.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_record'"
            " AND column_name NOT IN ('id', 'n')"
        )
    )
    await owner.execute(
        f"INSERT INTO audit_record (id, n, {columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT 'aud_forged', -1, {columns} FROM audit_record WHERE id = '{kept.ids[2]}'"
    )
    assert [finding for finding in (await kept.verify()).findings if "aud_forged" in finding]


async def rechain(stage: Stage, owner: Owner) -> None:
    """Make the whole chain anew over what is there now, as somebody would who knows how it is made."""
    await owner.execute("DELETE FROM audit_link")
    async with stage.unit_of_work() as uow:
        entries: list[Entry] = [*await uow.chain.unchained(limit=99)]
        await uow.chain.add(chained(None, entries))


TAMPERING = {
    "edited": ["UPDATE audit_record SET action = 'merchant.praised' WHERE id = '{2}'"],
    "removed": ["DELETE FROM audit_link", "DELETE FROM audit_record WHERE id = '{2}'"],
}


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING.keys())
async def test_a_chain_made_anew_differs_from_the_exported_root(
    kept: Kept, owner: Owner, statements: list[str]
) -> None:
    for statement in statements:
        await owner.execute(statement.format(*kept.ids))
    await rechain(kept.stage, owner)
    (finding,) = (await kept.verify()).findings
    assert "rewritten" in finding


async def test_an_edit_after_the_last_root_is_found_too_while_the_chain_stands(kept: Kept, owner: Owner) -> None:
    await owner.execute(f"UPDATE audit_record SET action = 'merchant.praised' WHERE id = '{kept.ids[8]}'")
    (finding,) = (await kept.verify()).findings
    assert kept.ids[8] in finding


@pytest.mark.parametrize("spoil", [
    lambda text: text.replace('"position": 6', '"position": 5'), lambda text: text.replace("digest", "diegst"),
    lambda text: text.splitlines(keepends=True)[1], lambda text: text + text, lambda text: "x" + text,
])  # fmt: skip
async def test_a_tampered_file_of_roots_is_found(kept: Kept, spoil: Any) -> None:
    await kept.export()
    kept.file.write_text(spoil(kept.file.read_text()))
    assert [finding for finding in (await kept.verify()).findings if FILE in finding]


async def test_roots_of_another_key_are_not_ours(kept: Kept) -> None:
    kept.roots = FileAuditRoots(kept.file.parent, b"another key")
    assert (await kept.verify()).findings


async def test_the_chain_goes_on_after_a_record_was_removed(kept: Kept, owner: Owner) -> None:
    await owner.execute(f"DELETE FROM audit_link WHERE record_id = '{kept.ids[8]}'")
    await owner.execute(f"DELETE FROM audit_record WHERE id = '{kept.ids[8]}'")
    await kept.add(2)
    assert (await kept.verify()).chained == 10
