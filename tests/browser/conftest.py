"""A report made by the real stages, and a browser that opens it from the disk."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
BARS = 8  # as in make_results.py
SETTLED = "() => document.querySelector('.panels').getAttribute('aria-busy') === 'false'"
# Which bars of a picture are bright. A page from the disk may not read its own canvases, so a blank
# page reads the screenshot.
READ_BARS = """async ([png, bars]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const at = (bar) => Math.floor((bar + 0.5) * image.width / bars);
  const level = (bar) => context.getImageData(at(bar), image.height >> 1, 1, 1).data[0];
  return Array.from({ length: bars }, (_, bar) => level(bar) > 110);
}"""


def python(environment: str) -> str:
    return str(ROOT / ".envs" / environment / "bin" / "python")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("there is no Chromium; tests/browser/install.sh says why")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def report(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, beside the videos it shows."""
    results = tmp_path_factory.mktemp("results")
    maker = Path(__file__).with_name("make_results.py")
    subprocess.run([python("torch"), str(maker), str(results)], check=True)
    metrics = sorted(map(str, results.rglob("metrics.json")))
    command = [python("workflow"), str(ROOT / "stages" / "report.py"), "--metrics", *metrics]
    command += ["--ingest", str(results / "anna" / "ingest.json")]
    command += ["--paper", str(ROOT / "config" / "paper_tables.yaml")]
    command += ["--benchmarks", str(results / "benchmarks"), "--out", str(results / "report.html")]
    subprocess.run(command, check=True)
    return results / "report.html"


class Opened:
    """The page in a window of the browser, with what it complained about."""

    def __init__(self, browser: Browser, report: Path, width: int, scheme: str):
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        self.blank, self.page = self.context.new_page(), self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda line: self.complaints.append(line.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.player = self.page.locator(".player").first
        self.player.scroll_into_view_if_needed()
        self.settle()

    def settle(self) -> None:
        """Wait until every panel shows the frame that it should."""
        self.page.wait_for_function(SETTLED, timeout=20000)

    def seek(self, frame: int) -> None:
        self.player.locator(".scrub").fill(str(frame))
        self.settle()

    def panel(self, label: str) -> int:
        """Number of the frame that the panel of this label shows, read from its picture."""
        figures = self.player.locator(".panels figure")
        figure = figures.filter(has=self.page.get_by_text(label, exact=True))
        picture = base64.b64encode(figure.locator("canvas").screenshot()).decode()
        bits = self.blank.evaluate(READ_BARS, [picture, BARS])
        return sum(1 << bar for bar, bright in enumerate(bits) if bright)

    def labels(self) -> list[str]:
        return self.player.locator(".panels figcaption").all_inner_texts()

    def told(self) -> int:
        """Number of the frame that the player tells, counted from 0."""
        return int(self.player.locator(".time").inner_text().split("/")[0]) - 1


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    window = Opened(browser, report, 1440, "light")
    yield window
    window.context.close()


@pytest.fixture(params=[(360, "light"), (1440, "dark")], ids=["phone", "desk in the dark"])
def anywhere(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    window = Opened(browser, report, *request.param)
    window.width, window.scheme = request.param
    yield window
    window.context.close()


def focused(page: Page, attribute: str) -> str:
    return page.evaluate(f"document.activeElement.{attribute}")
