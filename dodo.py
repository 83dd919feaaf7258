"""The study as a task graph: `doit list --all`, `doit -n`, `doit run recon:...`, `doit`."""

from fly64tasks import tasks

study, layout = tasks.load_study()

DOIT_CONFIG = {
    "dep_file": str(layout.state),
    "backend": "json",
    "verbosity": 2,
    "sort": "definition",
}


def task_base():
    """Write the built-in base: probe, object and scan."""
    if layout.makes_base:
        return tasks.base(study, layout)


def task_simulate():
    """Simulate the diffraction of every frame at each dose (Phase C)."""
    if layout.makes_phase_c:
        return (tasks.simulate(study, layout, dose) for dose in study.sorted_doses)


def task_views():
    """Thin each dose to the overlap views (Phase D)."""
    if layout.makes_phase_d:
        return (
            tasks.views(study, layout, dose, view)
            for dose in study.sorted_doses
            for view in study.thinned_views
        )


def task_recon():
    """Reconstruct each dose/view/split with pty-chi."""
    for case in study.cases():
        yield tasks.recon(study, layout, case)
