"""Loading base and tuned models, from wherever a recipe says, into one shape."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import peft
import torch
import transformers
from huggingface_hub import errors as hub_errors
from huggingface_hub import snapshot_download
from peft.utils import SAFETENSORS_WEIGHTS_NAME, ModulesToSaveWrapper
from safetensors import safe_open
from torch import nn

from itaudit.engine.embedded import NAME, converted_gguf, embedded_model_dir
from itaudit.errors import UserError

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken"]
# Some repositories hold a second copy of their weights for other software, which would double the download.
_HUB_COPIES = ["consolidated*", "*/*.safetensors"]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk: what the recipe calls it, and the local directory that is loaded."""

    name: str
    path: Path

    @property
    def is_adapter(self) -> bool:
        return (self.path / "adapter_config.json").is_file()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory with its tokenizer. `eos_ids` end a response."""

    files: ModelFiles
    model: Any
    tokenizer: Any
    device: torch.device
    kind: Literal["causal", "seq2seq"]
    eos_ids: tuple[int, ...]
    pad_id: int

    @property
    def vocabulary_size(self) -> int:
        """Width of the logits."""
        return int(self.model.get_output_embeddings().weight.shape[0])


def find_model(name: str, *, revision: str = "main", code: bool = False) -> ModelFiles:
    """The local directory of a model: `embedded`, a directory, a GGUF file or a hub name, downloaded if need be.

    `code` lets a hub model bring Python files along. Raises UserError where the model can't be had.
    """
    if name == "embedded":
        return ModelFiles(NAME, embedded_model_dir())
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise UserError(f"{path}: a model is a directory, a .gguf file or a hub name, not a {path.suffix} file")
        return ModelFiles(path.stem, converted_gguf(path, path.stem))
    if path.is_dir():
        _check_directory(path)
        return ModelFiles(path.name, path.resolve())
    patterns = [*_HUB_FILES, "*.py"] if code else _HUB_FILES
    try:
        directory = Path(
            snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=_HUB_COPIES)
        )
    except hub_errors.HFValidationError:
        raise UserError(f"{name}: neither a directory here nor a hub name (owner/name)") from None
    except hub_errors.RepositoryNotFoundError:
        raise UserError(f"{name}: no such model on the hub, or it is private; `hf auth login` gives access") from None
    except (hub_errors.LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{name}: not a local directory, and the hub can't be reached ({type(error).__name__}); "
            "check the name and the connection, or download the model and give its directory"
        ) from None
    _check_directory(directory)
    return ModelFiles(name, directory)


def _check_directory(path: Path) -> None:
    config = "adapter_config.json" if (path / "adapter_config.json").is_file() else "config.json"
    if not (path / config).is_file():
        raise UserError(f"{path}: not a model directory (no config.json and no adapter_config.json)")
    try:
        orjson.loads((path / config).read_bytes())
    except (orjson.JSONDecodeError, OSError) as error:
        raise UserError(f"{path / config}: can't be read as JSON: {error}") from None
    weights = SAFETENSORS_WEIGHTS_NAME if config == "adapter_config.json" else "*.safetensors"
    if not any(path.glob(weights)):
        raise UserError(f"{path}: holds no .safetensors weights; other formats can run code, and are not loaded")


def load_model(
    files: ModelFiles, *, device: torch.device, dtype: torch.dtype, code: bool = False, adapter_base: str = ""
) -> LoadedModel:
    """Loads whole weights for reading: evaluation mode, no gradients.

    `adapter_base` only serves the message for a directory that turns out to hold an adapter alone.
    """
    if files.is_adapter:
        raise UserError(f"{files.path}: a LoRA adapter, not a whole model; {adapter_base or 'give its base model'}")
    model = load_weights(files, dtype=dtype, code=code)
    model.to(device).eval().requires_grad_(False)
    head = model.get_output_embeddings()
    if dtype != torch.float32 and isinstance(head, nn.Linear):
        model.set_output_embeddings(Float32Linear.over(head))
    tokenizer = load_tokenizer(files, code=code)
    loaded = LoadedModel(
        files=files,
        model=model,
        tokenizer=tokenizer,
        device=device,
        kind="seq2seq" if model.config.is_encoder_decoder else "causal",
        eos_ids=eos_ids(model, tokenizer),
        pad_id=pad_id(tokenizer),
    )
    model.generation_config = only_token_ids(model.generation_config)
    return loaded


def only_token_ids(own: transformers.GenerationConfig | None) -> transformers.GenerationConfig:
    """A model's generation settings without those that change what it says.

    `generate` fills what a caller leaves open from the model's settings, so that a `generation_config.json` that
    suppresses or forces tokens would make every model answer by rules of its own.
    """
    names = ("bos_token_id", "decoder_start_token_id") if own else ()
    return transformers.GenerationConfig(**{name: getattr(own, name) for name in names})


def load_weights(files: ModelFiles, *, dtype: torch.dtype, code: bool = False) -> Any:
    """The bare transformers model of a directory, on the CPU; raises UserError where it can't be loaded."""
    config = load_config(files, code=code)
    try:
        auto = (
            transformers.AutoModelForSeq2SeqLM
            if getattr(config, "is_encoder_decoder", False)
            else transformers.AutoModelForCausalLM
        )
        model, told = auto.from_pretrained(
            files.path, dtype=dtype, use_safetensors=True, trust_remote_code=code, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise UserError(f"{files.path}: can't load the model: {_first_line(error)}") from None
    if missing := sorted(told["missing_keys"]):
        # They would be random numbers, and everything that is measured with them too.
        raise UserError(
            f"{files.path}: the weights lack {len(missing)} tensors of a {type(model).__name__}, first {missing[0]}; "
            "download or save the model again"
        )
    return model


def load_config(files: ModelFiles, *, code: bool = False) -> Any:
    """The transformers configuration of a directory; raises UserError where it can't be read."""
    try:
        return transformers.AutoConfig.from_pretrained(files.path, trust_remote_code=code)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{files.path}: can't load the model: {_first_line(error)}") from None


def load_tokenizer(files: ModelFiles, *, code: bool = False) -> Any:
    """The tokenizer of a directory; raises UserError where it can't be loaded."""
    try:
        return transformers.AutoTokenizer.from_pretrained(files.path, trust_remote_code=code)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{files.path}: can't load the tokenizer: {_first_line(error)}") from None


def eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokens that end a response, by the model's generation settings and the tokenizer."""
    told = model.generation_config.eos_token_id if model.generation_config else None
    ids = told if isinstance(told, list) else [told]
    found = {int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None}
    if not found:
        raise UserError(f"{model.name_or_path}: neither model nor tokenizer names an EOS token")
    return tuple(sorted(found))


def pad_id(tokenizer: Any) -> int:
    """A token to pad with; what it is never matters, since padding is masked."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def max_positions(model: Any) -> int | None:
    """How many tokens a model can read; None where its positions are relative and have no end."""
    found = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found and found > 0 else None


@contextmanager
def tuned_beside(
    base: LoadedModel, files: ModelFiles, *, dtype: torch.dtype, code: bool = False
) -> Iterator[LoadedModel]:
    """A tuned model while the base stays loaded: an adapter shares the base's weights, and is taken off at the end.

    Raises UserError where the two don't speak the same vocabulary.
    """
    if not files.is_adapter:
        tuned = load_model(files, device=base.device, dtype=dtype, code=code)
        check_same_vocabulary(base, tuned)
        yield tuned
        return
    _check_adapter(base, files)
    try:
        wrapped = peft.PeftModel.from_pretrained(
            base.model, files.path, is_trainable=False, torch_device=str(base.device)
        )
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        raise UserError(
            f"{files.path}: the adapter does not fit the base model {base.files.name}: {_first_line(error)}"
        ) from None
    wrapped.to(base.device).eval()
    try:
        yield LoadedModel(
            files=files,
            model=wrapped,
            tokenizer=base.tokenizer,
            device=base.device,
            kind=base.kind,
            eos_ids=base.eos_ids,
            pad_id=base.pad_id,
        )
    finally:
        # Unloading keeps an adapter's own copies of whole modules; the base gets its own modules back.
        for module in wrapped.modules():
            if isinstance(module, ModulesToSaveWrapper):
                for adapter in module.modules_to_save:
                    module.modules_to_save[adapter] = module.original_module
        wrapped.unload()


def _check_adapter(base: LoadedModel, files: ModelFiles) -> None:
    """Raises UserError for an adapter that can't be switched off, so that it would change the base model too."""
    try:
        config = peft.PeftConfig.from_pretrained(files.path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"{files.path / 'adapter_config.json'}: not an adapter's: {_first_line(error)}") from None
    if config.is_prompt_learning:
        raise UserError(
            f"{files.path}: {config.peft_type.value} adds positions to what a model reads, so that positions can't be "
            "compared; give a LoRA adapter or a whole model"
        )
    own = [f".{module}." for module in getattr(config, "modules_to_save", None) or ()]
    weights = dict(base.model.named_parameters(remove_duplicate=False))
    with safe_open(files.path / SAFETENSORS_WEIGHTS_NAME, framework="pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118  # no dictionary: it has no other way to list its keys
            name = key.removeprefix("base_model.model.").replace(".base_layer.", ".")
            if name not in weights or any(module in f".{name}" for module in own):
                continue
            # Embeddings are often saved along, unchanged; they harm nothing.
            weight = weights[name].detach().cpu()
            if not torch.equal(tensors.get_tensor(key).to(weight.dtype), weight):
                raise UserError(
                    f"{files.path}: the adapter replaces {name} of the base model, which switching it off does not "
                    "undo; merge it into its base and give the merged model"
                )


@contextmanager
def reading_as_base(base: LoadedModel, tuned: LoadedModel) -> Iterator[Any]:
    """The model to call for the base's distribution while `tuned` is loaded."""
    if isinstance(tuned.model, peft.PeftModel):
        with tuned.model.disable_adapter():
            yield tuned.model
    else:
        yield base.model


def check_same_vocabulary(base: LoadedModel, tuned: LoadedModel) -> None:
    """Raises UserError, with the first difference, unless ids mean the same to both models."""
    pair = f"base {base.files.name} and tuned {tuned.files.name}"
    if base.kind != tuned.kind:
        raise UserError(f"{pair}: one is {base.kind}, the other {tuned.kind}; their positions can't be compared")
    ours, theirs = base.tokenizer.get_vocab(), tuned.tokenizer.get_vocab()
    if ours != theirs:
        differing = sorted(
            (token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token)),
            key=lambda token: min(ours.get(token, 1 << 40), theirs.get(token, 1 << 40)),
        )
        first = differing[0]
        raise UserError(
            f"{pair}: vocabularies differ in {len(differing)} tokens, first {first!r} (base id {ours.get(first)}, "
            f"tuned id {theirs.get(first)}); distributions over different tokens can't be compared"
        )
    if base.vocabulary_size != tuned.vocabulary_size:
        raise UserError(
            f"{pair}: logits over {base.vocabulary_size} and {tuned.vocabulary_size} tokens can't be compared; "
            "resize the tuned model's embeddings to the base's"
        )


class Float32Linear(nn.Linear):
    """An output layer computed in float32 over half-precision weights.

    bfloat16 logits near 20 are 0.125 apart, so that ranks would tie and log-probabilities round.
    """

    @classmethod
    def over(cls, head: nn.Linear) -> "Float32Linear":
        """A layer that shares the weights of `head`; its names stay, so that adapters find them."""
        layer = cls(head.in_features, head.out_features, bias=head.bias is not None, device="meta")
        layer.weight, layer.bias = head.weight, head.bias
        return layer

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias.float()
        return nn.functional.linear(hidden.float(), self.weight.float(), bias)


def save_directory(scratch: Path, target: Path) -> None:
    """Puts a finished model directory into place in one step."""
    if target.exists():
        shutil.rmtree(target)
    scratch.replace(target)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
