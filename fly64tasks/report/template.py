"""A page of its parts: a template, the package's own style sheet and scripts, and nothing else.

Jinja2 escapes every string; what is inserted as it is are that style sheet, those scripts and
figures drawn from the study. The scripts are allowed by their digest, so that not even a string
that escaped the escaping could run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fly64tasks import plotstyle
from fly64tasks.report.files import PAGE_MARK


def filled_in(template: str, *, scripts: Sequence[str] = ("report.js",), **values: Any) -> str:
    """Return a page: a template filled in, with our mark, style sheet and scripts."""
    environment = Environment(
        loader=PackageLoader("fly64tasks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n".join(map(_text, scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    page = environment.get_template(template).render(
        mark=Markup(PAGE_MARK),
        style=Markup(_variables() + _colour_maps() + _text("report.css")),
        script=Markup(script),
        script_digest=digest,
        **values,
    )
    return page + "\n"


def _text(name: str) -> str:
    return (resources.files("fly64tasks.report") / "templates" / name).read_text("utf-8")


def _variables() -> str:
    """Return the style's colours as style-sheet variables, by day and by night."""

    def block(colours: Mapping[str, str]) -> str:
        return " ".join(f"--{name}: {colour};" for name, colour in colours.items())

    return (
        f":root {{ {block(plotstyle.LIGHT)} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ {block(plotstyle.DARK)} }} }}\n"
    )


def _colour_maps() -> str:
    """Return a class for each colour map: its colours, low to high."""
    return "".join(
        f".map-{name} {{ background: linear-gradient(to right, "
        f"{', '.join(plotstyle.colours_of(name, 16))}); }}\n"
        for name in plotstyle.COLOUR_MAPS
    )
