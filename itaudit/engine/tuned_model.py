"""A tuned model of a run, loaded after the fact."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from itaudit.engine import device as devices
from itaudit.engine.models import LoadedModel, ModelFiles, find_model, load_model, tuned_beside
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.tuning_settings import Imported, Lft, Sft


def tuned_files(run: Run, label: str) -> ModelFiles | None:
    """The files of a tuned model; None for imported responses whose model the recipe does not name.

    Raises UserError, naming the key, for a model that can't be had.
    """
    settings = run.recipe.models[label]
    if isinstance(settings, Lft | Sft):
        path = run.model_dir(label)
        if not path.is_dir():
            raise UserError(f"{path}: the model is not there; `itaudit resume {run.path}` tunes it")
        return ModelFiles(label, path)
    if isinstance(settings, Imported) and not settings.model:
        return None
    try:
        return find_model(settings.model, revision=settings.revision, code=run.recipe.base.trust_remote_code)
    except UserError as error:
        raise UserError(f"models.{label}.model: {error}") from None


def base_of(run: Run) -> LoadedModel:
    """The base model of a run, on the device of its recipe."""
    base = run.recipe.base
    device = devices.choose_device(run.recipe.device)
    files = find_model(base.model, revision=base.revision, code=base.trust_remote_code)
    dtype = devices.choose_dtype(base.dtype, device)
    return load_model(files, device=device, dtype=dtype, code=base.trust_remote_code)


@contextmanager
def loaded_tuned(run: Run, files: ModelFiles, base: Callable[[Run], LoadedModel] = base_of) -> Iterator[LoadedModel]:
    """A tuned model, ready to answer; an adapter is put on what `base` gives, and taken off at the end."""
    recipe = run.recipe
    device = devices.choose_device(recipe.device)
    dtype, code = devices.choose_dtype(recipe.base.dtype, device), recipe.base.trust_remote_code
    if files.is_adapter:
        with tuned_beside(base(run), files, dtype=dtype, code=code) as tuned:
            yield tuned
    else:
        yield load_model(files, device=device, dtype=dtype, code=code)
    devices.release_memory(device)
