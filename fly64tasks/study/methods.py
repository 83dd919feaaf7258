"""The methods of a study: `[recon]` with changes, or programs of others, by name."""

from __future__ import annotations

import difflib
import re
import shlex
import string
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fly64tasks.errors import StudyError, shortened
from fly64tasks.study.cases import MAIN
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import Positive, Seed, Spec, changed, parse_spec

Words = Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
Step = Literal["train", "command"]

PLACEHOLDERS: Mapping[Step, tuple[str, ...]] = {
    "train": ("train_npz", "model", "seed"),
    "command": ("input_npz", "model", "output", "seed"),
}
"""What the words of a program may name; all but the seed have to be there."""
_NAME = re.compile(r"[a-z][a-z0-9_]{,39}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]{,99}\.(npz|npy|h5|hdf5)")


class ProgramSpec(Spec, frozen=True):
    """A program of others that reconstructs: it is run once per set, and trained before.

    Attributes
    ----------
    command : list of str
        What reconstructs {input_npz} into {output}, with the {model} where one is trained.
    train : list of str, never unless given
        What makes the {model} of {train_npz}, once per dose and view.
    files : list of str, none but the commands' .py files unless given
        Files beside the study file that it consists of: copied to where it runs.
    output : str
        The name of what it writes; its suffix tells the form.
    key : str
        Where the object is in it.
    sees_truth : bool
        True or false: give it the sets with their truth.
    timeout_s : float, never unless given
        End it after so many seconds, and have the job fail.
    seed : int
        What {seed} is; each further draw has its own.
    """

    command: Words
    train: Words | None = None
    files: tuple[str, ...] = ()
    output: str = "output.npz"
    key: str = "object"
    sees_truth: bool = False
    timeout_s: Positive | None = None
    seed: Seed = 0

    def __post_init__(self) -> None:
        for step in PLACEHOLDERS:
            if words := self.words(step):
                _refuse_words(step, words, PLACEHOLDERS[step], trained=self.train is not None)
        taken = {"train.npz", "input.npz", "model", self.output}
        for file in self.files_used:
            name = PurePath(file).name
            if not file.isprintable() or not name:
                raise ValueError(f"files: {file[:60]!r} is no path, expected a file's")
            if name in taken:
                raise ValueError(
                    f"files: {shortened(file)!r} would be {name} where the program runs, which is "
                    "there already; expected another name"
                )
            taken.add(name)
        if not _FILE_NAME.fullmatch(self.output):
            raise ValueError(
                f"output is {shortened(self.output)!r}, expected the name of a file that ends in "
                ".npz, .npy, .h5 or .hdf5"
            )

    def words(self, step: Step) -> tuple[str, ...]:
        """Return the words of a step, none where there is no such step."""
        return (self.train if step == "train" else self.command) or ()

    def settings(self, step: Step = "command") -> dict[str, Any]:
        """Return what the result of a step depends on besides its files, as JSON-ready values."""
        keys: tuple[str, ...] = ("sees_truth", "seed")  # files are inputs: what they hold matters
        if step == "command":
            keys = ("output", "key", *keys)
        return {step: list(self.words(step)), **{key: getattr(self, key) for key in keys}}

    @property
    def files_used(self) -> tuple[str, ...]:
        """Return the files that it consists of: those that are said, and its Python scripts.

        >>> apply = ("python", "cnn.py", "{input_npz}", "{output}")
        >>> ProgramSpec(command=apply, files=("net.toml",)).files_used
        ('cnn.py', 'net.toml')
        """
        scripts = [
            word
            for step in PLACEHOLDERS
            for word in self.words(step)
            if word.endswith(".py") and "{" not in word
        ]
        return tuple(dict.fromkeys([*scripts, *self.files]))

    @property
    def in_words(self) -> str:
        """Return what a list of tasks says of it."""
        return shortened(shlex.join(self.command), most=60)

    def resolved(self) -> ProgramSpec:
        """Return it, as `ReconSpec.resolved` does: it has no choices to make."""
        return self


Method = ReconSpec | ProgramSpec


def _refuse_words(
    step: str, words: tuple[str, ...], known: tuple[str, ...], *, trained: bool
) -> None:
    """Refuse a command line that names what there is not, or lacks what it has to name."""
    named = set()
    for word in words:
        if not word.isprintable():
            raise ValueError(f"{step}: {word[:60]!r} is no word, expected text without controls")
        try:
            fields = [
                field for _, field, *rest in string.Formatter().parse(word) if field is not None
            ]
        except ValueError as error:
            raise ValueError(
                f"{step}: {shortened(word)!r} can not be filled in ({error}); write {{{{ and }}}} "
                "for braces"
            ) from None
        named.update(fields)
        for field in fields:
            if field not in known:
                near = difflib.get_close_matches(field, known, n=1, cutoff=0.5)
                choice = ", ".join(f"{{{name}}}" for name in known)
                hint = f"did you mean {{{near[0]}}}?" if near else f"known: {choice}"
                raise ValueError(f"{step} has the placeholder {{{shortened(field)}}}; {hint}")
    needed = [name for name in known if name != "seed" and (trained or name != "model")]
    for name in needed:
        if name not in named:
            raise ValueError(f"{step} names no {{{name}}}, expected it among its words")
    if "model" in named and not trained:
        raise ValueError("command names {model} and there is no train, expected what makes it")


def methods_of(recon: ReconSpec, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Method]:
    """Return every method of a study by its name, `[recon]` itself as main, first.

    A setting that is a list of values makes one method of each: ``NAME_0``, ``NAME_1`` ...

    Raises
    ------
    StudyError
        A name, a key or a value that can not be; the message says the key.

    Examples
    --------
    >>> methods = methods_of(ReconSpec(), {"momentum": {"algorithm": "LSQML", "momentum": [0, 1]}})
    >>> {name: spec.momentum for name, spec in methods.items()}
    {'main': 2.0, 'momentum_0': 0.0, 'momentum_1': 1.0}
    """
    found: dict[str, Method] = {MAIN: recon}
    for name, table in tables.items():
        source = f"methods.{name}"
        if name == MAIN or not _NAME.fullmatch(name):
            raise StudyError(
                f"methods: {shortened(name)!r} can not be a method's name; expected up to 40 "
                f"lower-case letters, digits and _, a letter first, and not {MAIN!r}, which is "
                "[recon] itself"
            )
        for variant, changes in _expanded(name, table, source).items():
            if variant in found or (variant != name and variant in tables):
                raise StudyError(f"methods: {variant} is there twice; expected each name once")
            found[variant] = _method(recon, changes, source)
    return found


def _expanded(name: str, table: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    lists = [
        key for key, value in table.items() if isinstance(value, list) and key in _RECON_FIELDS
    ]
    if not lists:
        return {name: dict(table)}
    if len(lists) > 1:
        raise StudyError(f"{source}: {' and '.join(lists)} are lists, expected one list at most")
    [key] = lists
    if not table[key]:
        raise StudyError(f"{source}.{key} is an empty list, expected values")
    return {f"{name}_{index}": {**table, key: value} for index, value in enumerate(table[key])}


def _method(recon: ReconSpec, changes: dict[str, Any], source: str) -> Method:
    for key in changes:
        if key not in _KNOWN:
            near = difflib.get_close_matches(key[:100], _KNOWN, n=1, cutoff=0.5)
            hint = f"did you mean {source + '.' + near[0]!r}?" if near else "see docs/methods.md"
            raise StudyError(f"unknown key {shortened(f'{source}.{key}')!r}; {hint}")
    own = [key for key in changes if key in _PROGRAM_FIELDS and key not in _RECON_FIELDS]
    if not own:
        return changed(recon, changes, source)
    others = [key for key in changes if key not in _PROGRAM_FIELDS]
    if others:
        raise StudyError(
            f"{source}: {others[0]} is a setting of [recon] and {own[0]} one of a program; "
            "expected keys of one of them"
        )
    return parse_spec(ProgramSpec, changes, source)


_RECON_FIELDS = {field.name for field in msgspec.structs.fields(ReconSpec)}
_PROGRAM_FIELDS = {field.name for field in msgspec.structs.fields(ProgramSpec)}
_KNOWN = sorted(_RECON_FIELDS | _PROGRAM_FIELDS)
