"""The README's picture: the top of a report, as Chromium shows it.

``python tools/screenshot.py [reports/index.html] [--output docs/report.png]``

Needs playwright (the ``test`` extra) and an installed Chromium; downloads nothing.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

WIDTH_PX = 1280
SIZE_LIMIT = 400_000

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def picture_of(report: Path) -> bytes:
    """Return the report from its title to the end of the dose x view matrix, as PNG."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        box = page.locator("#matrix").bounding_box()
        if box is None:
            raise SystemExit(f"error: {report}: has no dose x view matrix; expected a report")
        clip = {"x": 0, "y": 0, "width": WIDTH_PX, "height": box["y"] + box["height"] + 24}
        shot = page.screenshot(full_page=True, clip=clip)
        browser.close()
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    buffer = io.BytesIO()
    # MAXCOVERAGE keeps the few pixels of coloured text; the default gives their colours away.
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Make the README's picture from a report.")
    parser.add_argument("report", type=Path, nargs="?", default=Path("reports/index.html"))
    parser.add_argument("--output", type=Path, default=Path("docs/report.png"))
    options = parser.parse_args(arguments)
    if CHROMIUM is None:
        parser.error("no chromium, chromium-browser or google-chrome is installed")
    if not options.report.is_file():
        parser.error(f"{options.report}: no such file; run `doit report` first")
    picture = picture_of(options.report)
    if len(picture) > SIZE_LIMIT:
        parser.error(f"the picture takes {len(picture)} bytes, expected at most {SIZE_LIMIT}")
    options.output.write_bytes(picture)
    print(f"{options.output}: {len(picture) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
