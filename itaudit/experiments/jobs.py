"""Jobs of experiments: one detached worker carries out all runs of one, in the order of the plan."""

from pathlib import Path

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import Planned
from itaudit.recipe import Recipe, write_recipe
from itaudit.runs import jobs
from itaudit.runs.run import Run


def start(experiment: Experiment) -> int:
    """Starts a detached worker, which goes on where another one stopped; returns its pid.

    Raises UserError where one is at work already.
    """
    worker = ["itaudit.engine.experiment_worker", str(experiment.path), "--announced"]
    hint = f"; `itaudit logs {experiment.path} -f`"
    paths = {"folder": experiment.path, "log": experiment.log_path, "status": experiment.status_path}
    return jobs.launch(worker, hint=hint, **paths)


def cancel(experiment: Experiment) -> int:
    """Asks the worker to save and stop; returns its pid. Raises UserError where there is none."""
    return jobs.stop(experiment.path, experiment.status())


def begun(experiment: Experiment, planned: Planned) -> Run:
    """The directory of a planned run, made if need be; a run that is there gets the models that were added since.

    Raises UserError where it was asked for something else than the experiment plans now.
    """
    path: Path = experiment.runs_path / planned.name
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / "recipe.toml").exists() or _lacks_models(Run(path).recipe, planned.recipe):
            atomic.write_bytes(path / "recipe.toml", write_recipe(planned.recipe))
    except OSError as error:
        raise UserError(f"{path}: can't make the run's directory: {error.strerror}") from None
    run = Run(path)
    if run.recipe != planned.recipe:
        raise UserError(
            f"{run.recipe_path}: not what {experiment.spec_path} plans any more; take the change back, or delete the "
            "run's folder"
        )
    return run


def _lacks_models(there: Recipe, planned: Recipe) -> bool:
    """Whether a run differs from what is planned by lacking some of its models, and by nothing else."""
    kept = {label: model for label, model in planned.models.items() if label in there.models}
    return len(kept) < len(planned.models) and planned.model_copy(update={"models": kept}) == there
