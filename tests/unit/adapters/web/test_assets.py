"""Static files: kept for ever under their content's address; colours that everybody can read."""

import re
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from adapters.inbound.web.assets import STATIC, Assets
from tests.unit.adapters.apps import SharedApp

PAIRS = [  # text on its surface
    ("--text", "--canvas"),
    ("--text", "--surface"),
    ("--text", "--sunken"),
    ("--text", "--raised"),
    ("--muted", "--canvas"),
    ("--muted", "--surface"),
    ("--muted", "--sunken"),
    ("--muted", "--glow"),
    ("--on-brand", "--brand"),
    ("--brand-strong", "--surface"),
    ("--good", "--surface"),
    ("--warn", "--warn-soft"),
    ("--bad", "--surface"),
]


async def test_a_file_is_kept_for_ever_under_its_own_address(client: AsyncTestClient[SharedApp]) -> None:
    assets = Assets()
    for path in STATIC.iterdir():
        answer = await client.get(assets.address(path.name))
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    script = await client.get(assets.address("cashier.js"))
    assert script.headers["content-type"].startswith("text/javascript")


async def test_another_versions_address_is_served_but_not_kept(client: AsyncTestClient[SharedApp]) -> None:
    answer = await client.get("/assets/0123456789abcdef/pitaya.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fassets.py", "%2e%2e", "pitaya.css%00"])
async def test_nothing_but_our_files_is_served(client: AsyncTestClient[SharedApp], name: str) -> None:
    assert (await client.get(f"/assets/0123456789abcdef/{name}")).status_code == 404


def test_changed_content_has_another_address(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = Assets(tmp_path).address("a.css")
    (tmp_path / "a.css").write_text("b{}")
    assert Assets(tmp_path).address("a.css") != before


def test_no_style_or_script_names_a_foreign_host() -> None:
    for path in STATIC.iterdir():
        found = re.findall(r"https?://[^\s\"')]+|@import|url\(", path.read_text())
        assert [each for each in found if each != "http://www.w3.org/2000/svg"] == [], path.name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), PAIRS)
def test_text_keeps_the_contrast_of_wcag_aa(theme: str, text: str, surface: str) -> None:
    """WCAG 2.1, success criterion 1.4.3: 4.5 to 1."""
    light, dark = _themes()
    colours = light if theme == "light" else light | dark
    bright, dim = sorted((_luminance(colours[text]), _luminance(colours[surface])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5


def _themes() -> tuple[dict[str, str], dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", (STATIC / "pitaya.css").read_text(), re.DOTALL)
    tokens = re.compile(r"(--[\w-]+): (#[0-9a-f]{6});")
    return dict(tokens.findall(light)), dict(tokens.findall(dark))


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
