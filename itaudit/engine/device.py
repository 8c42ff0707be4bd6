"""Which device does the work, in which precision, and how much memory it has."""

import os

import psutil
import torch

from itaudit.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """The device a recipe asks for; `auto` takes CUDA, then MPS, then the CPU.

    Under a multi-process launcher every process gets the GPU of its local rank.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"device: {wanted!r} is none of auto, cpu, mps, cuda and cuda:N", code=2) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f'device: {wanted} is not there; torch sees {torch.cuda.device_count()} CUDA devices. Use device = "auto"'
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError('device: mps is not there; use device = "auto"')
    return torch.device("cuda", 0) if wanted == "cuda" else device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The weights' type that a recipe asks for; `auto` is bfloat16 on a GPU that has it, float32 elsewhere."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float32


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the CPU with its threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)


def memory_in_use(device: torch.device) -> tuple[int, int]:
    """Bytes in use and in all: of the GPU, or of this process and the machine."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    return psutil.Process().memory_info().rss, psutil.virtual_memory().total


def release_memory(device: torch.device) -> None:
    """Gives cached memory of dropped models back to the device."""
    import gc

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
