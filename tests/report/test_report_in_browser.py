"""The report's page in a real Chromium: what a reader sees, hears of and can do."""

from __future__ import annotations

import csv
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import screenshot
from matplotlib import colormaps
from PIL import Image
from scored_study import (
    STUDY,
    layout_in,
    page_without_figures,
    scores_of,
    write_run,
    write_scores,
    write_study,
)

from fly64tasks.report import pictures
from fly64tasks.report.command import write_report
from fly64tasks.report.files import REPORT
from fly64tasks.report.results import read_jobs
from fly64tasks.score.files import PANELS
from fly64tasks.study.paths import Layout

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(
    screenshot.CHROMIUM is None,
    reason="no chromium, chromium-browser or google-chrome is installed",
)

CASES = list(STUDY.cases())
LANDSCAPE_PX = 1046
"""277 mm, what is printed on of A4."""
FAILED = CASES[4]
CONTRASTS = """
() => {
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((text) => linear(text / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || ["SCRIPT", "STYLE", "title"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const colour = element.closest("figure svg") ? style.fill : style.color;
    const ink = luminance(colour);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    const key = `${element.tagName}.${element.className.baseVal ?? element.className} ${colour}`;
    found[key] = Math.min(found[key] ?? 21, ratio);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The report on 18 jobs, one of which failed, in a folder whose name needs quoting."""
    folder = tmp_path_factory.mktemp("report") / "Süß & study"
    layout = write_study(folder)
    write_run(layout, FAILED, state="failed", reason="diverged <b>badly</b>")
    write_report(STUDY, layout)
    return layout


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=screenshot.CHROMIUM, args=[*screenshot.FLAGS]
        )
        yield browser
        browser.close()


class Opened:
    """A page with all that it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *raised: object) -> None:
        self.context.close()

    def column(self, index: int) -> list[str]:
        """Return the texts of a column of the table of all scores."""
        cells = self.page.locator(f"table.scores tbody td:nth-child({index + 1})")
        return [text.strip() for text in cells.all_inner_texts()]


METHODS = msgspec.structs.replace(
    STUDY, doses=(1e3, 1e4), repeats=2, methods={"epie": {"algorithm": "EPIE"}}
)


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The report on two methods in two draws: 48 jobs."""
    layout = write_study(tmp_path_factory.mktemp("methods"), METHODS)
    write_report(METHODS, layout)
    return layout


def opened(browser: Any, layout: Layout, **options: Any) -> Opened:
    return Opened(browser, layout.artifact_root / REPORT, **options)


def test_page_shows_every_job_without_complaint_and_without_the_network(
    browser: Any, layout: Layout
):
    with opened(browser, layout) as report:
        page = report.page
        assert page.title() == "three doses: dose and overlap"
        assert page.locator("details.job").count() == 18
        assert page.locator("table.scores tbody tr").count() == 18
        assert page.locator(".tile img").count() == 17
        assert page.locator(".reference img").count() == 6
        for picture in page.locator("img").all():
            assert picture.evaluate("(image) => image.complete && image.naturalWidth > 0")
        page.get_by_role("button", name="Open all").click()
        playwright.expect(page.locator("details.job[open]")).to_have_count(18)
        assert "diverged <b>badly</b>" in page.locator(f"#job-{FAILED.name}").inner_text()
        page.get_by_role("button", name="Close all").click()
        playwright.expect(page.locator("details.job[open]")).to_have_count(0)
        assert report.complaints == []
        asked = [url for url in report.requests if not url.startswith("data:")]
        assert asked == [(layout.artifact_root / REPORT).as_uri()]


def test_script_that_got_into_the_page_would_not_run(browser: Any, layout: Layout):
    path = layout.artifact_root / "tampered.html"
    html = (layout.artifact_root / REPORT).read_text("utf-8")
    added = '<script>window.ran = 1</script><img src="data:," onerror="window.ran = 1">'
    path.write_text(html.replace("</footer>", f"</footer>{added}"), "utf-8")
    with Opened(browser, path) as report:
        assert report.page.evaluate("window.ran") is None
        assert "Content Security Policy" in " ".join(report.complaints)


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_table_sorts_both_ways_with_absent_values_last(browser: Any, layout: Layout, by: str):
    errors = sorted(scores_of(case)["metrics"]["complex_nrmse"] for case in CASES if case != FAILED)
    texts = [f"{error:.4f}" for error in errors]
    with opened(browser, layout) as report:
        button = report.page.locator("table.scores").get_by_role("button", name="Complex NRMSE")
        heading = report.page.locator("table.scores th").nth(4)

        def press() -> None:
            if by == "click":
                button.click()
            else:
                button.focus()
                report.page.keyboard.press("Enter")

        press()
        assert report.column(4) == [*texts, "–"]
        assert heading.get_attribute("aria-sort") == "ascending"
        press()
        assert report.column(4) == [*reversed(texts), "–"]
        assert heading.get_attribute("aria-sort") == "descending"
        report.page.locator("table.scores").get_by_role("button", name="View").click()
        assert report.column(1) == ["baseline"] * 6 + ["dense"] * 6 + ["sparse"] * 6
        assert heading.get_attribute("aria-sort") is None
        assert report.complaints == []


def test_filters_leave_what_was_asked_for_in_every_table(browser: Any, methods: Layout):
    with opened(browser, methods) as report:
        page = report.page
        for label, value in (("View", "dense"), ("Split", "test"), ("Method", "epie")):
            page.get_by_role("search").get_by_label(label).select_option(value)
        assert page.locator("form.filters output").inner_text() == "4 of 48 jobs"
        assert page.locator("table.scores tbody tr:visible").count() == 4
        assert page.locator("details.job:visible").count() == 4
        assert page.locator("#methods tbody tr:visible").count() == 2 * 2
        assert page.locator(".tile:visible").count() == 2
        page.get_by_role("search").get_by_label("Draw").select_option("2")
        assert page.locator("table.scores tbody tr:visible").count() == 2
        for label in ("View", "Split", "Method", "Draw"):
            page.get_by_role("search").get_by_label(label).select_option("")
        assert page.locator("table.scores tbody tr:visible").count() == 48
        assert report.complaints == []


def test_table_is_copied_as_csv_as_it_is_shown(browser: Any, methods: Layout):
    granted = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, methods, **granted) as report:
        page = report.page
        page.get_by_role("search").get_by_label("View").select_option("sparse")
        page.locator("#methods .copy").first.click()
        page.get_by_role("button", name="Copied").wait_for()
        rows = list(csv.reader(page.evaluate("navigator.clipboard.readText()").splitlines()))
        assert rows[0][:7] == ["Method", "Dose", "View", "Split", "main", "method", "Difference"]
        assert len(rows) == 1 + 4
        assert rows[1][:4] == ["epie", "10³", "sparse", "train"]
        assert rows[1][4:7] == ["0.4", "0.4", "0.0"]
        assert rows[1][-1] == "same"


def test_page_without_its_script_has_every_table_and_no_filters(browser: Any, methods: Layout):
    with opened(browser, methods, java_script_enabled=False) as report:
        assert report.page.locator("table.scores tbody tr").count() == 48
        assert not report.page.locator("form.filters").is_visible()
        assert not report.page.locator("#compare").is_visible()
        assert report.page.locator(".copy").count() == 0
        report.page.locator("details.job summary").first.click()
        assert report.page.locator("details.job[open]").count() == 1


FEWER = """
for (const list of document.querySelectorAll("tbody, #jobs"))
  for (const item of [...list.children].slice(20)) item.remove();
"""
ENDS = """
() => {
  const canvas = document.querySelector("#compare canvas");
  const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
  const at = (share) => [...row.slice(4 * Math.round(canvas.width * share))].slice(0, 3);
  return [at(0.25), at(0.75)];
}
"""


def test_two_jobs_are_laid_beside_and_over_each_other(browser: Any, tmp_path: Path):
    study = msgspec.structs.replace(METHODS, doses=(1e3,), repeats=1)
    layout = write_study(tmp_path, study)
    for case in study.cases():
        colour = (0, 0, 255) if case.method == "epie" else (255, 0, 0)
        Image.new("RGB", (192, 64), colour).save(layout.recon_dir(case) / PANELS)
    write_report(study, layout)
    with opened(browser, layout) as report:
        page, compare = report.page, report.page.locator("#compare")
        compare.scroll_into_view_if_needed()
        caption = playwright.expect(compare.locator("figcaption").first)
        caption.to_contain_text("main")
        assert compare.locator("[name=b] option:checked").inner_text().endswith("epie, draw 1")
        assert compare.locator("canvas:visible").count() == 2
        compare.locator("[name=quantity]").select_option("phase")
        compare.locator("[name=mode]").select_option("slider")
        caption.to_contain_text("B right: ")
        (left_red, _, left_blue), (right_red, _, right_blue) = page.evaluate(ENDS)
        assert left_red > 200 > left_blue
        assert right_blue > 200 > right_red
        compare.get_by_label("Zoom in").click()
        compare.locator("canvas").first.hover()
        page.mouse.wheel(0, -100)
        compare.get_by_role("button", name="Whole").click()
        compare.locator("[name=mode]").select_option("blink")
        caption.to_contain_text("B: ")
        assert report.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("doses", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_axe_finds_nothing(browser: Any, tmp_path: Path, scheme: str, doses: int):
    study = msgspec.structs.replace(METHODS, doses=METHODS.doses[:doses])
    layout = write_study(tmp_path, study)
    write_report(study, layout)
    with opened(browser, layout, color_scheme=scheme) as report:
        report.page.get_by_role("button", name="Open all").click()
        assert violations(report.page) == []


def violations(page: Any) -> list[tuple[str, str]]:
    """Return what axe finds wrong with a page: the rule, and an element that breaks it."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 30
    return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]


def test_tile_leads_to_its_job_and_opens_it(browser: Any, layout: Layout):
    with opened(browser, layout) as report:
        report.page.locator(f".tile[href='#job-{CASES[7].name}']").click()
        assert report.page.locator(f"#job-{CASES[7].name}[open] .panels").is_visible()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_page_never_scrolls_sideways(browser: Any, layout: Layout, width: int):
    with opened(browser, layout, viewport={"width": width, "height": 844}) as report:
        report.page.get_by_role("button", name="Open all").click()
        for log in report.page.locator("details.log summary").all():
            log.click()
        assert report.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_single_drawing_is_no_larger_than_one_of_two(
    browser: Any, layout: Layout, tmp_path: Path
):
    alone = layout_in(tmp_path, STUDY)
    for which in CASES:
        write_run(alone, which)
        if which.split == "train":
            write_scores(alone, which)
    write_report(STUDY, alone)
    widths = []
    for which in (layout, alone):
        with opened(browser, which, viewport={"width": 1280, "height": 844}) as report:
            drawn = report.page.locator(".panels > figure").first
            widths.append(drawn.bounding_box()["width"])
    assert widths[1] <= 1.2 * widths[0]


def test_text_is_readable_by_day_and_by_night(browser: Any, layout: Layout):
    papers = {}
    for scheme in ("light", "dark"):
        with opened(browser, layout, color_scheme=scheme) as report:
            report.page.get_by_role("button", name="Open all").click()
            papers[scheme] = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
            contrasts = report.page.evaluate(CONTRASTS)
            assert len(contrasts) > 20
            assert {key: ratio for key, ratio in contrasts.items() if ratio < 4.5} == {}
            fills = report.page.locator("#curves figure svg text").first
            assert fills.evaluate("(text) => getComputedStyle(text).fill") != "rgb(0, 0, 0)"
    assert papers["light"] == "rgb(255, 255, 255)"
    assert papers["dark"] == "rgb(20, 23, 26)"


def test_print_is_light_with_jobs_open_and_no_buttons(browser: Any, layout: Layout):
    with opened(browser, layout, color_scheme="dark") as report:
        page = report.page
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert not page.get_by_role("button", name="Open all").is_visible()
        assert not page.locator("nav").is_visible()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details.job[open]").count() == 18
        assert page.locator(f"#job-{CASES[0].name} .on-paper").is_visible()
        assert not page.locator(f"#job-{CASES[0].name} .panels").is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details.job[open]").count() == 0
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        printed = page.pdf(prefer_css_page_size=True)
        assert printed.startswith(b"%PDF")
        assert 5 < printed.count(b"/Type /Page\n") < 20
        assert len(printed) < 10e6


def on_paper(page: Any) -> bytes:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed: bytes = page.pdf(prefer_css_page_size=True)
    return printed


def test_pictures_as_large_as_they_may_be_print_on_few_pages_and_megabytes(
    browser: Any, tmp_path: Path
):
    layout = write_study(tmp_path)
    for seed, case in enumerate(CASES):
        noise = np.random.default_rng(seed).integers(0, 256, (720, 1080, 4), dtype=np.uint8)
        noise[..., 3] = 255
        Image.fromarray(noise).save(layout.recon_dir(case) / PANELS, compress_level=1)
    write_report(STUDY, layout)
    with opened(browser, layout) as report:
        printed = on_paper(report.page)
        assert printed.count(b"/Type /Page\n") < 20
        assert len(printed) < 10e6


def test_methods_print_each_cell_once_and_every_column_below_its_heading(
    browser: Any, methods: Layout
):
    with opened(browser, methods, viewport={"width": LANDSCAPE_PX, "height": 700}) as report:
        page = report.page
        printed = on_paper(page)
        assert printed.count(b"/Type /Page\n") <= 20
        assert page.locator("details.job:visible").count() == 24  # further draws are in the tables
        assert page.locator("table.scores").evaluate("(t) => t.scrollWidth") <= LANDSCAPE_PX
        # Chromium repeats no form control and nothing positioned in the heading of a next page.
        boxes = page.locator("main thead th button").evaluate_all(
            "(buttons) => buttons.map((button) => getComputedStyle(button).display)"
        )
        assert set(boxes) == {"contents"}


def test_page_of_many_jobs_prints_those_that_were_opened(browser: Any, tmp_path: Path):
    study = msgspec.structs.replace(METHODS, repeats=3)
    layout = write_study(tmp_path, study)
    write_report(study, layout)
    with opened(browser, layout) as report:
        assert report.page.locator("details.job").count() == 72
        on_paper(report.page)
        assert not report.page.locator("#jobs").is_visible()
        report.page.locator("details.job").nth(3).evaluate("(job) => { job.open = true; }")
        assert report.page.locator("details.job:visible").count() == 1


def test_pointer_on_a_picture_says_place_and_value(browser: Any, tmp_path: Path):
    study = msgspec.structs.replace(STUDY, doses=(1e3,))
    layout = write_study(tmp_path, study)
    scales = {"amplitude": "cividis", "phase": "viridis", "off": "magma"}
    shares = np.array([[0.2, 0.2, 0.1], [0.7, 0.7, 0.4]])
    maps = [["amplitude", "amplitude", "off"], ["phase", "phase", "off"]]
    case = next(study.cases())
    sheet = np.zeros((200, 600, 4), dtype=np.uint8)
    for row, column in itertools.product(range(2), range(3)):
        colour = colormaps[scales[maps[row][column]]](shares[row, column], bytes=True)
        sheet[row * 100 : (row + 1) * 100, column * 200 : (column + 1) * 200] = colour
    scale = {"low": -0.5, "high": 0.5}
    panels = [[scale | {"colour_map": scales[name]} for name in row] for row in maps]
    write_scores(layout, case, panels={"columns": 3, "rows": 2, "scales": panels})
    Image.fromarray(sheet).save(layout.recon_dir(case) / PANELS)
    write_report(study, layout)
    with opened(browser, layout) as report:
        section = report.page.locator(f"#job-{case.name}")
        section.locator("summary").first.click()
        image = section.locator("img.panels")
        area = image.bounding_box()
        assert area is not None
        for (column, row), said in {
            (1, 1): "Phase ≈ 0.20 rad at y 60, x 120",
            (0, 0): "Amplitude ≈ −0.30 at y 60, x 120",
            (2, 1): "Phase, difference ≈ −0.10 rad at y 60, x 120",
        }.items():
            place = {
                "x": area["width"] * (column + 0.5025) / 3,
                "y": area["height"] * (row + 0.5025) / 2,
            }
            image.hover(position=place)
            assert near(section.locator(".here").inner_text(), said)
        report.page.mouse.move(0, 0)
        assert section.locator(".here").count() == 0
        assert report.complaints == []


def near(said: str, expected: str) -> bool:
    """Return whether two sayings are the same, but for 2 % in the value."""
    number = r"≈ (−?[\d.]+)"
    values = [float(re.search(number, text)[1].replace("−", "-")) for text in (said, expected)]
    same = re.sub(number, "", said) == re.sub(number, "", expected)
    return same and abs(values[0] - values[1]) <= 0.02


def test_linked_pictures_show_beside_the_page(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    layout = write_study(tmp_path / "a b")
    monkeypatch.setattr(pictures, "EMBED_LIMIT", 0)
    html = page_without_figures(STUDY, layout, read_jobs(STUDY, layout))
    path = layout.artifact_root / REPORT
    path.write_text(html, "utf-8")
    with Opened(browser, path) as report:
        picture = report.page.locator(".tile img").first
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 64
        assert report.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("powers", "repeats", "others", "jobs"),
    [(3, 1, 0, 18), (5, 3, 0, 90), (7, 3, 3, 504)],
)
def test_page_of_many_jobs_opens_in_three_seconds(
    browser: Any, tmp_path: Path, powers: int, repeats: int, others: int, jobs: int
):
    methods = {name: {"algorithm": "EPIE"} for name in "abc"[:others]}
    doses = tuple(10.0**power for power in range(3, 3 + powers))
    study = msgspec.structs.replace(STUDY, doses=doses, repeats=repeats, methods=methods)
    layout = write_study(tmp_path, study)
    write_report(study, layout)
    with opened(browser, layout) as report:
        report.page.reload()
        took = report.page.evaluate(
            "performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
        )
        assert took < 3
        assert report.page.locator("details.job").count() == jobs
        report.page.locator("#compare").scroll_into_view_if_needed()
        # Not `expect`: what it notes of the page between two looks takes longer than it waits.
        caption = report.page.locator("#compare figcaption:not(:empty)").first
        caption.wait_for()
        assert "photons" in caption.inner_text()
        assert report.complaints == []
        report.page.evaluate(FEWER)  # axe takes minutes for a thousand rows of the same parts
        assert violations(report.page) == []


def test_picture_for_the_readme_is_the_top_of_the_page(layout: Layout, tmp_path: Path):
    output = tmp_path / "report.png"
    command = [sys.executable, screenshot.__file__, str(layout.artifact_root / REPORT)]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Image.open(output) as picture:
        assert picture.width == 1280
        assert 600 < picture.height < 2000
    assert output.stat().st_size < screenshot.SIZE_LIMIT
    assert done.stdout.startswith(str(output))


DRAWN = """() => [...document.querySelectorAll(".stage canvas")].every((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean))"""


def test_nothing_moves_when_two_jobs_are_drawn(browser: Any, layout: Layout):
    """Else a click below them, or a link to a job, ends in another place."""
    with opened(browser, layout) as report:
        section = report.page.locator("#compare")
        before = section.bounding_box()["height"]
        assert not report.page.evaluate(DRAWN)
        section.scroll_into_view_if_needed()
        for _ in range(100):
            report.page.wait_for_timeout(50)
            if report.page.evaluate(DRAWN):
                break
        assert report.page.evaluate(DRAWN)
        assert section.bounding_box()["height"] == before
