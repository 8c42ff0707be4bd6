"""What an export is asked to do, as a form: settings that keys step through, and their words."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from itaudit.data.export import ExportOptions
from itaudit.data.write import formats
from itaudit.errors import UserError

WHICH = ("all", "shown", "edited")
CONTAINERS = (".jsonl", ".json", ".csv", ".parquet", "")
SPLITS = ("none", "train 0.9, test 0.1", "train 0.8, validation 0.1, test 0.1", "other")
_SUFFIX_WORDS = {".jsonl": "JSON lines", ".json": "JSON", ".csv": "CSV", ".parquet": "Parquet", "": "datasets folder"}


@dataclass
class ExportForm:
    """The answers so far. `source` is the dataset's path or hub name, `format` its own."""

    source: str
    own_format: str
    shown: int
    whole: int
    edited: int
    format: str = ""
    container: str = ".jsonl"
    path: str = ""
    which: str = "all"
    provenance: bool = False
    splits: str = SPLITS[0]
    seed: int = 0
    _named: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        self.format = self.own_format if self.own_format in formats() else formats()[0]
        suffix = Path(self.source).suffix.lower()
        self.container = suffix if suffix in CONTAINERS and suffix else ".jsonl"
        self.path = self.default_path()

    def default_path(self) -> str:
        """`NAME-simplified.jsonl` beside the source, or here for a dataset of the hub."""
        source = Path(self.source)
        folder = source.parent if source.is_absolute() else Path()
        return str(folder / f"{source.stem if source.suffix else source.name}-simplified{self.container}")

    def rows(self) -> list[tuple[str, str, str]]:
        """Each setting: its name, its words, and what they are about."""
        counts = {"all": self.whole, "shown": self.shown, "edited": self.edited}
        which = {"all": "all instances", "shown": "what the filter shows", "edited": "only edited ones"}[self.which]
        return [
            ("format", self.format, "of the records"),
            ("container", _SUFFIX_WORDS[self.container], "kind of file"),
            ("file", self.path, "enter types another"),
            ("instances", f"{which}, {counts[self.which]:,}", "deleted ones are left out"),
            ("provenance", "yes" if self.provenance else "no", "a column on what each went through"),
            ("splits", self.splits, "shares of 1; enter types others"),
            ("seed", str(self.seed), "of the splits"),
        ]

    def step(self, name: str, by: int) -> None:
        """Takes the next choice of a setting, or the one before."""
        if name == "format":
            self.format = _stepped(formats(), self.format, by)
        elif name == "container":
            before = self.container
            self.container = _stepped(CONTAINERS, before, by)
            self.path = self.path.removesuffix(before) + self.container if self._named else self.default_path()
        elif name == "instances":
            self.which = _stepped(WHICH, self.which, by)
        elif name == "provenance":
            self.provenance = not self.provenance
        elif name == "splits":
            self.splits = _stepped(SPLITS[:-1], self.splits if self.splits in SPLITS else SPLITS[0], by)
        elif name == "seed":
            self.seed = max(0, self.seed + by)

    def answer(self, name: str, text: str) -> None:
        """Takes a typed answer; raises UserError where it makes no sense."""
        if name == "file":
            if not text.strip():
                raise UserError("a file or folder to write is wanted")
            self.path, self._named = text.strip(), True
            suffix = Path(self.path).suffix.lower()
            if suffix in CONTAINERS:
                self.container = suffix
        elif name == "splits":
            read_splits(text)
            self.splits = text.strip() or SPLITS[0]
        elif name == "seed":
            if not text.strip().isdecimal():
                raise UserError(f"seed: expected a whole number, not {text!r}")
            self.seed = int(text)

    def out(self) -> Path:
        """Where to write."""
        return Path(self.path).expanduser()

    def options(self, view: list[int] | None, filter: str, *, overwrite: bool) -> ExportOptions:
        """The export as `data.export` takes it; `view` are the positions that are shown."""
        return ExportOptions(
            format=self.format,
            positions=view if self.which == "shown" else None,
            filter=filter if self.which == "shown" else "",
            only_edited=self.which == "edited",
            provenance=self.provenance,
            splits=read_splits(self.splits),
            seed=self.seed,
            overwrite=overwrite,
        )


def read_splits(text: str) -> dict[str, float] | None:
    """`train 0.9, test 0.1` as shares by name; None for `none`. Raises UserError where it is no such list."""
    if text.strip() in ("", "none"):
        return None
    shares: dict[str, float] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*([A-Za-z0-9_.-]+)[\s=:]+([0-9.]+)\s*", part)
        try:
            shares[found[1] if found else ""] = float(found[2] if found else "")
        except ValueError:
            raise UserError(f"splits: expected such as train 0.9, test 0.1, not {part.strip()!r}") from None
    return shares


def _stepped(choices: tuple[str, ...], now: str, by: int) -> str:
    return choices[(choices.index(now) + by) % len(choices)]
