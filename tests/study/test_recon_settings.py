"""The settings of a reconstruction: each is described, once."""

from __future__ import annotations

import re

import pytest

from fly64tasks.study.algorithms import ALGORITHMS
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.spec import Spec, settings_of


@pytest.mark.parametrize("spec", [ReconSpec, CheckpointSpec])
def test_every_setting_says_what_it_means(spec: type[Spec]):
    undescribed = [setting.name for setting in settings_of(spec) if not setting.meaning]
    assert undescribed == []


def test_default_that_is_none_is_put_into_words():
    defaults = {setting.name: setting.default for setting in settings_of(ReconSpec)}
    assert defaults["n_images"] == "all"
    assert defaults["batch_size"] == "what suits the algorithm"
    assert "None" not in defaults.values()


def test_the_algorithms_that_are_named_are_those_that_are_taken():
    meaning = next(setting.meaning for setting in settings_of(ReconSpec))
    assert re.findall(r"[A-Z]{2,}", meaning) == list(ALGORITHMS)
