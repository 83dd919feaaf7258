"""What is installed of what the package's own metadata ask for. Imports none of it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

US = "fly64tasks"


@dataclass(frozen=True)
class Installed:
    """The packages that we need, and what is wrong with them.

    Attributes
    ----------
    versions : dict
        The version of each required package that is there, by its name.
    problems : tuple of str
        What is missing or out of bounds, and what to do, a line each.
    extras : dict
        What each optional extra lacks; empty where it is complete.
    """

    versions: dict[str, str]
    problems: tuple[str, ...]
    extras: dict[str, tuple[str, ...]]

    @classmethod
    def here(cls) -> Installed:
        """Look at this environment."""
        try:
            ours = metadata.metadata(US)
        except metadata.PackageNotFoundError:
            problem = f"{US} is not installed, only found: `pip install -e .` in its folder"
            return cls({}, (problem,), {})
        return held_against(
            metadata.requires(US) or [],
            ours.get_all("Provides-Extra") or [],
            ours["Requires-Python"] or "",
        )


def held_against(
    requirements: Iterable[str],
    extras: Iterable[str] = (),
    python: str = "",
    version_of: Callable[[str], str | None] = lambda name: version(name),
) -> Installed:
    """Hold an environment against requirements, as a package's metadata write them.

    Parameters
    ----------
    version_of : callable
        The installed version of a package, None where it is absent.

    Examples
    --------
    >>> needs = ["doit>=0.37", "torch>=2.15", "pytest>=9.0; extra == 'test'"]
    >>> found = held_against(needs, ["test"], version_of={"doit": "0.37.1", "torch": "2.3"}.get)
    >>> found.versions
    {'doit': '0.37.1', 'torch': '2.3'}
    >>> found.problems
    ("torch 2.3 is installed, expected >=2.15: pip install --upgrade 'torch>=2.15'",)
    >>> found.extras
    {'test': ('pytest>=9.0',)}
    """
    parsed = [Requirement(text) for text in requirements]
    needed = [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})]
    versions = {one.name: found for one in needed if (found := version_of(one.name))}
    problems = [problem for one in needed if (problem := _problem(one, versions.get(one.name)))]
    here = platform.python_version()
    if not SpecifierSet(python).contains(here, prereleases=True):
        problems.insert(0, f"python is {here}, expected {python}: make a virtual environment of it")
    lacks = {}
    for extra in extras:
        own = [
            one
            for one in parsed
            if one not in needed
            and canonicalize_name(one.name) != US
            and one.marker is not None
            and one.marker.evaluate({"extra": extra})
        ]
        lacks[extra] = tuple(
            f"{one.name}{one.specifier}" for one in own if _problem(one, version_of(one.name))
        )
    return Installed(versions, tuple(problems), lacks)


def version(name: str) -> str | None:
    """Return the version of an installed package, None where it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _problem(needed: Requirement, found: str | None) -> str | None:
    wanted = f"{needed.name}{needed.specifier}"
    if found is None:
        return f"{needed.name} is not installed: pip install '{wanted}'"
    if not needed.specifier.contains(found, prereleases=True):
        return (
            f"{needed.name} {found} is installed, expected {needed.specifier}: "
            f"pip install --upgrade '{wanted}'"
        )
    return None
