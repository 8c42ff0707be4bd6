"""itaudit shows what instruction tuning did to a language model, and which instances taught it."""

__version__ = "0.1.0"
