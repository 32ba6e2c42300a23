"""A real Chromium, found or fetched, and a page that fails its test on any foreign request or script error.

In order: ``PITAYA_CHROMIUM``; chromium, chromium-browser or google-chrome on the PATH; Debian's package, where we are
root or ``CI=true``; the npm package @sparticuz/chromium, where npm is. Without any the tests are skipped loudly, or,
with ``CI=true``, fail.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.demo import Demo, processes_of, start

FLAGS = [
    "--no-sandbox",  # as root there is none to be had; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OURS = {"127.0.0.1", "localhost"}
NPM_PACKAGE = "@sparticuz/chromium@153.0.0"
# Unpacks the package's browser and the libraries that a bare machine lacks into the temporary directory.
UNPACK = """
const { default: chromium, inflate } = await import('@sparticuz/chromium');
await inflate('node_modules/@sparticuz/chromium/bin/al2023.tar.br');
await chromium.executablePath();
"""


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable."""
    found = _configured() or _on_path() or _from_debian() or _from_npm()
    if found is None:
        text = "no Chromium: set PITAYA_CHROMIUM, or install one"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        print(f"\n*** {text}: THE BROWSER TESTS DO NOT RUN ***")
        pytest.skip(text)
    return found


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """One Chromium for the run."""
    libraries = chromium.parent / "al2023" / "lib"
    paths = [str(libraries)] * libraries.is_dir() + [os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, env=dict(environment))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The whole of Pitaya and its sandbox, for all tests that want it; it has to end cleanly."""
    demo = start(tmp_path_factory.mktemp("demo") / "state")
    yield demo
    assert demo.stop(signal.SIGINT) == 0
    assert processes_of(demo.state) == []


@pytest.fixture
def faults() -> list[str]:
    """What the page of this test did wrong. A test that provokes a fault asserts it here and clears the list."""
    return []


@pytest.fixture
def page(browser: Browser, faults: list[str]) -> Iterator[Page]:
    """A fresh page in a fresh context. Its test fails on a request to a foreign host, a console error, a page error."""
    context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
    context.on("request", lambda request: None if _is_ours(request.url) else faults.append(f"asked {request.url}"))
    context.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context.new_page()
    context.close()
    assert not faults, faults


def _is_ours(url: str) -> bool:
    parts = urlsplit(url)
    return parts.hostname in OURS if parts.scheme in {"http", "https", "ws", "wss"} else True


def _configured() -> Path | None:
    given = os.environ.get("PITAYA_CHROMIUM")
    if given and not Path(given).is_file():
        pytest.fail(f"PITAYA_CHROMIUM is {given}, which is no file")
    return Path(given) if given else None


def _on_path() -> Path | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((Path(path) for path in map(shutil.which, names) if path), None)


def _from_debian() -> Path | None:
    allowed = os.geteuid() == 0 or os.environ.get("CI") == "true"
    if not allowed or not shutil.which("apt-get"):
        return None
    sudo = ["sudo", "-n"] if os.geteuid() else []
    install = ["install", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
        for words in (["update"], install):
            subprocess.run(
                [*sudo, "apt-get", "-qq", *words],
                check=True,
                capture_output=True,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
    return _on_path()


def _from_npm() -> Path | None:
    if not shutil.which("npm"):
        return None
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pitaya" / NPM_PACKAGE.rpartition("@")[2]
    if not home.exists():
        new = home.with_name(f"{home.name}.{os.getpid()}")  # renamed when whole
        new.mkdir(parents=True)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(new), NPM_PACKAGE]
        unpack = ["node", "--input-type=module", "-e", UNPACK]
        try:
            subprocess.run(install, check=True, capture_output=True)
            subprocess.run(unpack, check=True, capture_output=True, cwd=new, env={**os.environ, "TMPDIR": str(new)})
            new.rename(home)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"no Chromium from npm: {error}")
            shutil.rmtree(new, ignore_errors=True)
    return home / "chromium" if home.exists() else None
