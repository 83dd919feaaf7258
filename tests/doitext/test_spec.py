"""Settings that changed, in words."""

from __future__ import annotations

import json

import pytest
from doit.exceptions import InvalidTask
from doitext_project import Project

from fly64tasks.doitext.spec import SpecUnchanged, differences


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 100}, {"a": 200}, ["a 100 -> 200"]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, ["a.b x -> y"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a [1, 2] -> [1, 3]"]),
        ({"a": None}, {"a": ""}, ['a null -> ""']),
        ({"a": 1}, {}, ["a 1 -> nothing"]),
        ({}, {"a": False}, ["a nothing -> false"]),
        ({"a": {"b": 1}}, {"a": 2}, ['a {"b": 1} -> 2']),
        ({"a": "x" * 50}, {"a": "y"}, ["a " + "x" * 37 + "... -> y"]),
    ],
)
def test_differences_in_words(old: object, new: object, words: list[str]) -> None:
    assert list(differences(old, new)) == words


def test_tuples_equal_the_lists_they_are_stored_as(project: Project) -> None:
    project.tasks = lambda: [
        project.task("t", targets=["x"], uptodate=[SpecUnchanged({"a": (1, (2, 3))})])
    ]
    project.doit()
    project.doit()
    assert project.executed == []


def test_a_spec_that_is_not_json_is_refused_by_name(project: Project) -> None:
    project.tasks = lambda: [project.task("t", uptodate=[SpecUnchanged({"a": {1, 2}})])]
    assert "t: SpecUnchanged takes JSON values only" in project.doit("-n").err
    with pytest.raises(InvalidTask):
        SpecUnchanged({"a": b""}).explain({"_spec": json.loads("{}")})
