"""The study as a task graph: `doit list`, `doit -n`, `doit run recon:...`, `doit`."""

from fly64tasks import tasks

study, layout = tasks.load_study()

DOIT_CONFIG = {
    "backend": "journal",
    "dep_file": str(layout.state),
    "manifest_dir": str(layout.artifact_root),
    "describe": tasks.describe,
    "about": tasks.about(study, layout),
    "verbosity": 1,
}

if layout.makes_base:

    def task_base():
        """Write the built-in base: probe, object and scan."""
        return tasks.base(study, layout)


if layout.makes_phase_c:

    def task_simulate():
        """Simulate the diffraction of every frame at each dose (Phase C)."""
        for repeat in study.draws:
            for dose in study.sorted_doses:
                yield tasks.simulate(study, layout, dose, repeat)


if layout.makes_phase_d:

    def task_views():
        """Thin each dose to the overlap views (Phase D)."""
        for repeat in study.draws:
            for dose in study.sorted_doses:
                for view in study.thinned_views:
                    yield tasks.views(study, layout, dose, view, repeat)


if study.trained:

    def task_train():
        """Train each method that is trained, once per dose and view, on the train split."""
        for case in study.trainings():
            yield tasks.train(study, layout, case)


def task_recon():
    """Reconstruct each dose/view/split with pty-chi."""
    for case in study.cases():
        yield tasks.recon(study, layout, case)


def task_score():
    """Score each reconstruction against the truth and against its data."""
    for case in study.cases():
        yield tasks.score(study, layout, case)


def task_report():
    """Write the report of the study: a page, tables and figures."""
    return tasks.report(study, layout)
