"""Sheets of recovery words at the command line: how they go out, and how they come in again, word by word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cordee.errors import N_, AlreadyExists, CordeeError, InvalidInput, SheetRefused, WordsRefused
from cordee.runtime.durable import private_folder, write_new
from cordee.runtime.exhausted import told
from cordee.runtime.kit_sheets import Purpose, printed
from cordee.runtime.output import Output
from cordee.runtime.texts import text, translate, why
from cordee.shares import Sheet, read_sheet, read_word, require_fits, words_in

__all__ = ["ask_for_sheets", "give_out", "require_one_way"]

_LONGEST_FILE = 1 << 16


def require_one_way(folder: Path | None, on_paper: bool, show: bool) -> None:
    """Exactly one way out, known before anything is made. Raises: click.UsageError; InvalidInput, AlreadyExists."""
    if sum((folder is not None, on_paper, show)) != 1:
        raise click.UsageError("Say one of --print, --folder and --show.")
    if on_paper and shutil.which("lp") is None:
        raise InvalidInput(field="--print", problem=N_("this machine has no command that prints (lp)"))
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise AlreadyExists(what=folder)


def give_out(
    output: Output, sheets: Sequence[Sheet], purpose: Purpose, *, folder: Path | None, on_paper: bool, show: bool
) -> dict[str, Any]:
    """Send the sheets where they are wanted; what a program is told of that. Raises: InvalidInput."""
    facts: dict[str, Any] = {"kit": sheets[0].kit, "needed": sheets[0].needed, "sheets": len(sheets)}
    if folder is not None:
        return facts | {"files": _write(sheets, purpose, folder)}
    if on_paper:
        for each in sheets:
            # By a pipe: of our own, nothing lies on a disk. What the printing system keeps is its own affair.
            done = subprocess.run(["lp", "-t", "Notes"], input=printed(each, purpose), capture_output=True, check=False)
            if done.returncode:
                raise InvalidInput(field="--print", problem=N_("the printer did not take it"))
        return facts | {"files": []}
    if output.for_programs:
        return facts | {"files": [], "words": [" ".join(each.words) for each in sheets]}
    for each in sheets:
        _show(output, each, len(sheets))
    return facts | {"files": []}


def ask_for_sheets(output: Output, source: str | None, *, length: int) -> list[Sheet]:
    """The sheets, from a file or from what a person types, each word checked at once.

    Raises: WordsRefused, SheetRefused for a file; InvalidInput; click.UsageError where nobody can be asked.
    """
    if source is not None:
        lines = [line for line in _read(source).splitlines() if line.strip()]
        if not lines:
            raise InvalidInput(field="--sheets-file", problem=N_("it is empty"))
        return [read_sheet(words_in(line), sheet=at, length=length) for at, line in enumerate(lines, start=1)]
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to type the sheets: give --sheets-file.")
    sheets: list[Sheet] = []
    while not sheets or len(sheets) < sheets[0].needed:
        sheet = _ask_for_one(output, sheets, length=length)
        if sheet is not None:
            sheets.append(sheet)
            click.clear()  # the next one is typed by somebody else
    return sheets


def _ask_for_one(output: Output, before: Sequence[Sheet], *, length: int) -> Sheet | None:
    number = len(before) + 1
    output.say(N_("Sheet {number}: type its words one by one; the first four letters are enough."), number=number)
    words = [_ask_for_word(output, number, at) for at in range(1, length + 1)]
    while True:
        try:
            sheet = read_sheet(words, sheet=number, length=length)
            require_fits(sheet, before, at=number)
        except WordsRefused as wrong:
            _tell(output, wrong)
            at = int(wrong.facts["word"])
            words[at - 1] = _ask_for_word(output, number, at)
        except SheetRefused as wrong:
            _tell(output, wrong)
            return None  # from its first word
        else:
            return sheet


def _ask_for_word(output: Output, sheet: int, at: int) -> str:
    label = text(N_("Sheet {sheet}, word {word}"), output.language).format(sheet=sheet, word=at)
    while True:
        typed: str = click.prompt(label, err=True)
        try:
            return read_word(typed, sheet=sheet, position=at)
        except WordsRefused as wrong:
            _tell(output, wrong)


def _tell(output: Output, wrong: CordeeError) -> None:
    message, _ = translate(wrong, output.language)
    output.say("{line}", line=message)


def _show(output: Output, sheet: Sheet, count: int) -> None:
    """One sheet at a time, and away from the screen before the next: each is for another pair of eyes."""
    head = text(N_("Recovery sheet {number} of {count}"), output.language).format(number=sheet.number, count=count)
    output.text(head)
    for at, word in enumerate(sheet.words, start=1):
        output.text(f"{at:>3}  {word}")
    if sys.stdin.isatty() and sys.stdout.isatty():
        click.pause(text(N_("Copy it down, then press a key; the screen is cleared."), output.language), err=True)
        click.clear()


def _write(sheets: Sequence[Sheet], purpose: Purpose, folder: Path) -> list[str]:
    files: list[str] = []
    try:
        private_folder(folder)
        for each in sheets:
            path = folder / f"kit-{each.kit}-{each.number}.pdf"
            files.append(str(path))
            write_new(path, printed(each, purpose))
    except OSError as error:
        theirs = files[-1:] if isinstance(error, FileExistsError) else []
        for written in files[: len(files) - len(theirs)]:  # some of a kit's sheets are no kit
            Path(written).unlink(missing_ok=True)
        known = told(error, what=str(folder))
        raise known or InvalidInput(field="--folder", problem=why(error, N_("it cannot be written"))) from error
    return files


def _read(source: str) -> str:
    try:
        data = sys.stdin.buffer.read(_LONGEST_FILE) if source == "-" else Path(source).read_bytes()[:_LONGEST_FILE]
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(field="--sheets-file", problem=N_("it is no text in UTF-8")) from error
    except OSError as error:
        raise InvalidInput(field="--sheets-file", problem=why(error, N_("it cannot be read"))) from error
