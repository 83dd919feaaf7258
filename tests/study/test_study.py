import shutil
from pathlib import Path

import numpy as np
import pytest
from small_study import PROJECT, doit

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import StudyError
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.study import Study, read_study


def test_default_study_has_eighteen_cases_in_order():
    names = [case.name for case in Study().cases()]
    assert len(names) == 18
    assert names[:7] == [
        "dose_1000_baseline_train",
        "dose_1000_baseline_test",
        "dose_1000_dense_train",
        "dose_1000_dense_test",
        "dose_1000_sparse_train",
        "dose_1000_sparse_test",
        "dose_10000_baseline_train",
    ]


def test_study_file_of_the_project_says_what_the_defaults_are():
    assert read_study(PROJECT / "study.toml") == Study()


@pytest.mark.parametrize(
    ("name", "size_px", "object_px", "spacings_px"),
    [("fly64", 64, 232, (19.2, 51.2)), ("published", 128, 464, (38.4, 102.4))],
)
def test_full_size_study_thins_a_base_of_its_size_as_it_says(
    name: str, size_px: int, object_px: int, spacings_px: tuple[float, float], tmp_path: Path
):
    """A thirtieth of its positions, over the whole of its field."""
    path = PROJECT / "studies" / f"{name}.toml"
    assert f"{object_px} x {object_px}" in path.read_text("utf-8")
    for spacing in spacings_px:
        assert f"{spacing} px" in path.read_text("utf-8")
    study = read_study(path)
    assert study.geometry.assumed
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "studies", project / "studies")
    shutil.copy(PROJECT / "dodo.py", project)
    rng = np.random.default_rng(1)
    radius = np.hypot(*(np.indices((size_px, size_px)) - size_px // 2))
    half = 0.144 * object_px
    np.savez(
        tmp_path / "base.npz",
        probeGuess=np.where(radius < size_px / 4, 1.0 + 0j, 0),
        objectGuess=np.exp(0.3j * rng.random((object_px, object_px))),
        xcoords=rng.uniform(half, object_px - half, 340),
        ycoords=rng.uniform(half, object_px - half, 340),
    )
    thinned = [f"views:dose_1000_{view}" for view in ("dense", "sparse")]
    doit(project, f"study=studies/{name}.toml", f"base_npz={tmp_path / 'base.npz'}", *thinned)
    for view, spacing in zip(("dense", "sparse"), spacings_px, strict=True):
        assert study.view_spec(view).spacing_px(size_px) == pytest.approx(spacing)
        for split in ("train", "test"):
            metadata = read_dataset(
                project / f"data/{name}/phase_d/dose_1000/{view}/{view}_{split}.npz"
            ).metadata
            assert metadata["spacing_threshold"] == pytest.approx(spacing)


def test_doses_are_ascending_whatever_the_order_in_the_file():
    cases = list(Study(doses=(1e5, 1e3)).cases())
    assert [case.dose for case in cases[::6]] == [1e3, 1e5]


def test_views_go_from_much_overlap_to_little():
    study = parse_spec(Study, {"views": {"overlap": {"sparse": 0.2, "mid": 0.5, "dense": 0.7}}}, "")
    assert study.thinned_views == ("dense", "mid", "sparse")


def test_views_by_other_rules_follow_those_by_overlap_and_change_none_of_them():
    table = {"share": {"half": 0.5, "most": 0.9}, "every": {"fourth": 4}}
    study = parse_spec(Study, {"views": table}, "")
    assert study.thinned_views == ("dense", "sparse", "most", "half", "fourth")
    assert study.view_spec("dense") == Study().view_spec("dense")
    keys = ["view", "overlap", "gridsize", "neighbor_count", "min_positions", "patch_size_px"]
    assert list(Study().view_spec("dense").to_dict()) == [*keys, "grouping_seed"]
    assert not {"share", "every", "share_seed", "probe_diameter_px"} & set(Study().views.to_dict())
    found = study.view_spec("half")
    assert (found.share, found.every, found.overlap, found.spacing_px(64)) == (
        0.5,
        None,
        None,
        None,
    )
    assert study.view_spec("fourth").rule == "one frame of 4"


def test_baseline_is_a_group_of_one_and_thinned_views_are_of_four():
    gridsizes = {case.view: case.gridsize for case in Study().cases()}
    assert gridsizes == {"baseline": 1, "dense": 2, "sparse": 2}


def test_spec_is_json_ready():
    assert ReconSpec().resolved().to_dict()["num_epochs"] == 200


BROKEN_STUDIES = {
    "unknown key": (
        "[recon]\nnum_epoch = 3",
        r"unknown key 'recon.num_epoch'; did you mean 'recon.num_epochs'\?",
    ),
    "unknown table": ("[reconn]\nseed = 1", r"unknown key 'reconn'; did you mean 'recon'\?"),
    "unknown without near": ("zzz = 1", r"unknown key 'zzz'; known: name, doses"),
    "negative dose": ("doses = [-1e3]", r"doses\[0\]|doses.* is -1000"),
    "zero dose": ("doses = [0]", r"is 0, expected `float` > 0"),
    "fraction of a photon": ("doses = [0.5]", "doses holds 0.5, expected whole numbers"),
    "infinite dose": ("doses = [inf]", "is inf, expected `float` <= "),
    "NaN dose": ("doses = [nan]", "expected"),
    "no dose": ("doses = []", "is \\[\\], expected `array` of length >= 1"),
    "dose twice": ("doses = [1e3, 1000]", "doses holds a value twice"),
    "K below C": (
        "[views]\nneighbor_count = 3",
        r"neighbor_count is 3, expected at least gridsize\^2 = 4",
    ),
    "overlap of one": ("[views]\noverlap = { dense = 1.0 }", "expected `float` < 1"),
    "negative overlap": ("[views]\noverlap = { dense = -0.1 }", "expected `float` >= 0"),
    "view named baseline": ("[views]\noverlap = { baseline = 0.5 }", "view name 'baseline'"),
    "view name with a slash": ('[views]\noverlap = { "../x" = 0.5 }', "view name '../x'"),
    "view with two rules": (
        "[views]\nshare = { dense = 0.5 }",
        "view 'dense' has several rules, expected one of overlap, share and every",
    ),
    "share of all": ("[views]\nshare = { all = 1.0 }", "expected `float` < 1"),
    "every frame": ("[views]\nevery = { all = 1 }", "expected `int` >= 2"),
    "probe of no width": ("[views]\nprobe_diameter_px = 0", "expected `float` > 0"),
    "one position is enough": ("[views]\nmin_positions = 1", "expected `int` >= 2"),
    "no epochs": ("[recon]\nnum_epochs = 0", "recon.num_epochs is 0, expected `int` >= 1"),
    "epochs as text": (
        '[recon]\nnum_epochs = "100"',
        "recon.num_epochs is '100', expected a whole number",
    ),
    "epochs as a fraction": ("[recon]\nnum_epochs = 1.5", "recon.num_epochs is 1.5"),
    "unknown algorithm": ('[recon]\nalgorithm = "MAGIC"', "recon.algorithm.*'MAGIC'"),
    "algorithm in small letters": (
        '[recon]\nalgorithm = "lsqml"',
        r"recon.algorithm is 'lsqml', expected one of AD, BH, DM, EPIE, LSQML, MAP, PIE, RPIE; "
        r"did you mean LSQML\?$",
    ),
    "noise model mistyped": (
        '[recon]\nnoise_model = "Poison"',
        r"noise_model is 'Poison', expected one of GAUSSIAN, POISSON; did you mean POISSON\?$",
    ),
    "algorithm as a number": ("[recon]\nalgorithm = 3", "algorithm is 3, expected one of AD, BH"),
    "word of a key that may be absent": (
        '[data]\ntruth = "objectGues"',
        r"data.truth is 'objectGues', expected one of objectGuess; did you mean objectGuess\?$",
    ),
    "negative momentum": ("[recon]\nmomentum = -1.0", "recon.momentum is -1.0"),
    "infinite momentum": ("[recon]\nmomentum = inf", "recon.momentum is inf"),
    "negative seed": ("[simulation]\nseed = -1", "simulation.seed is -1, expected `int` >= 0"),
    "recon is no table": ("recon = 3", "recon is 3, expected a table"),
    "pattern with an unknown field": (
        '[paths]\nphase_d_pattern = "{dose}/{veiw}_{split}.npz"',
        r"paths.phase_d_pattern is '.*': unknown field {veiw}; did you mean {view}\?",
    ),
    "pattern with a field of another": (
        '[paths]\nphase_c_pattern = "{view}_{split}.npz"',
        r"unknown field {view}; known: {dose}, {split}",
    ),
    "pattern with a key for a pattern": (
        '[paths]\nphase_c_patern = "{split}.npz"',
        "unknown key 'paths.phase_c_patern'; did you mean 'paths.phase_c_pattern'",
    ),
    "pattern with an attribute": (
        '[paths]\nphase_c_pattern = "{dose.__class__}_{split}.npz"',
        "unknown field {dose.__class__}",
    ),
    "pattern with a format of no number": (
        '[paths]\nphase_c_pattern = "{dose:%Y}_{split}.npz"',
        "the format of {dose} can not be used; expected none, or that of a number such as {dose:d}",
    ),
    "pattern with a wide format": (
        '[paths]\nphase_c_pattern = "{dose:999999999d}_{split}.npz"',
        "the format of {dose} can not be used",
    ),
    "pattern with a format of text": (
        '[paths]\nphase_c_pattern = "{dose}_{split:>9}.npz"',
        "the format of {split} can not be used; expected none",
    ),
    "pattern with an open brace": (
        '[paths]\nphase_c_pattern = "{dose_{split}.npz"',
        "paths.phase_c_pattern is '.*expected",
    ),
    "pattern that climbs": (
        '[paths]\nphase_c_pattern = "../{dose}_{split}.npz"',
        "expected a path below the sets' root that ends in .npz",
    ),
    "pattern of another file": (
        '[paths]\nphase_c_pattern = "{dose}_{split}.h5"',
        "expected a path below the sets' root that ends in .npz",
    ),
    "not TOML": ("doses = [1e3", "not valid TOML"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN_STUDIES.values(), ids=BROKEN_STUDIES.keys())
def test_broken_study_is_refused_in_one_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=message) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_study_file_is_named(tmp_path: Path):
    with pytest.raises(StudyError, match=r"absent.toml: no such file"):
        read_study(tmp_path / "absent.toml")
