"""One module of the product with another text than its file has: in this process, and in those that it starts.

The working tree stays as it is. `planted()` keeps the text in a file of its own and names it in the environment; every
Python process below, which finds `everywhere/sitecustomize.py` on its path, gives that text to whoever imports the
module. Nothing of the product may be imported yet when `install()` is called.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

__all__ = ["ROOT", "VARIABLE", "NotThere", "changed", "environment", "install", "module_of", "text_of"]

VARIABLE = "CORDEE_PLANTED"
"""`module=file`: the module's dotted name, and where its other text lies."""

ROOT = Path(__file__).parents[2]
_EVERYWHERE = Path(__file__).with_name("everywhere")


class NotThere(Exception):
    """The text that a defect replaces is not, or not once, in its file: the code has moved on, the defect has not."""


def module_of(file: str) -> str:
    """The dotted name of a file's module: `node/sending.py` is `node.sending`."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def text_of(file: str) -> str:
    """A file of the product as it is, by its path from the root."""
    return (ROOT / file).read_text(encoding="utf-8")


def changed(file: str, patch: str) -> str:
    """The file's text with a patch: whole lines that go (-), that come (+), that say where ( ); `@@` between places.

    Raises: NotThere where such lines do not stand there, or more than once; ValueError for what is no patch.
    """
    text = text_of(file)
    for place in patch.strip("\n").split("\n@@\n"):
        lines = [line or " " for line in place.split("\n")]
        if any(line[:1] not in ("-", "+", " ") for line in lines) or all(line[:1] == " " for line in lines):
            raise ValueError(f"no patch: {place}")
        old = "".join(f"{line[1:]}\n" for line in lines if line[:1] in "- ")
        new = "".join(f"{line[1:]}\n" for line in lines if line[:1] in "+ ")
        if not old or f"\n{text}".count(f"\n{old}") != 1:
            raise NotThere(f"{file} does not hold these lines once:\n{old}")
        text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
    return text


def environment(module: str, text_file: Path) -> dict[str, str]:
    """What a process needs in its environment so that it, and all that it starts, imports the other text."""
    paths = [str(_EVERYWHERE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {VARIABLE: f"{module}={text_file}", "PYTHONPATH": os.pathsep.join(paths)}


def install() -> None:
    """Give the other text to whoever imports the module that the environment names, if it names one.

    Raises: RuntimeError where the module is imported already, so that its own text is in use.
    """
    module, _, text_file = os.environ.get(VARIABLE, "").partition("=")
    if not module:
        return
    if module in sys.modules:
        raise RuntimeError(f"{module} is imported already")
    sys.meta_path.insert(0, _Finder(module, Path(text_file)))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, text_file: Path) -> None:
        self._module, self._text_file = module, text_file

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise ImportError(f"{fullname} has no file")
        spec.loader = _Loader(fullname, spec.origin, self._text_file)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Neither reads nor writes compiled files: those are of the text in the file."""

    def __init__(self, fullname: str, path: str, text_file: Path) -> None:
        super().__init__(fullname, path)
        self._text_file = text_file

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text_file.read_bytes(), self.path, "exec", dont_inherit=True)
