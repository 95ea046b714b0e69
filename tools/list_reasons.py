"""Write `docs/errors.md` from `cordee/errors.py`: every reason with its exit code, gRPC status, text and remedy.

Run it after a change to the reasons; a test compares what it would write with what is committed.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cordee import errors  # noqa: E402 - run from a checkout
from cordee.errors import CordeeError, ExitCode  # noqa: E402

__all__ = ["PAGE", "markdown", "reasons"]

PAGE = ROOT / "docs" / "errors.md"

_HEAD = """\
# Errors

<!-- Written by tools/list_reasons.py from cordee/errors.py; change that, then run it. -->

Every refusal has a **reason**: it stands in the JSON on standard error (`--output json`), in the gRPC `ErrorInfo`
(domain `cordee`) and in logs. Words in braces are facts: ids, names of sections, limits; never anything of a case. The
texts are shown in French or English (`--lang`).

With `--output json` an error is one object: `{"reason": …, "message": …, "remedy": …, "facts": {…}}`. A fact that is
itself a text for people (`problem`, `missing`, `rule`, …) is told whole in the message; among the facts it stands in
English, with the names of other facts between braces. A record that breaks its schema has `problems` as well:
`[{"path": …, "problem": …}]`, told in full, up to twenty where they come from the node.

## Exit codes

| code | meaning |
| --- | --- |
"""

_EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.UNEXPECTED: "an unexpected error; its text is not shown, it may hold what is in a case",
    ExitCode.USAGE: "wrong usage of the command",
    ExitCode.NOT_FOUND: "there is no such thing, or the caller may not know of it",
    ExitCode.INVALID: "what was given, or the configuration, cannot be used",
    ExitCode.REFUSED: "a permission, a consent act or a policy forbids it",
    ExitCode.CONFLICT: "it exists already, or another step was taken first",
    ExitCode.UNREACHABLE: "the other end cannot be reached now; trying again later is safe",
    ExitCode.INTEGRITY: "a signature, a hash, a proof or the journal does not hold",
}
_INTERRUPTED = 130


def reasons() -> list[type[CordeeError]]:
    """Every class with a reason."""
    classes = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, CordeeError)]
    return sorted((each for each in classes if each is not CordeeError), key=lambda each: each.reason)


def markdown() -> str:
    """The page."""
    out = [_HEAD + "\n".join(f"| {int(code)} | {_EXIT_CODES[code]} |" for code in ExitCode)]
    out.append(f"| {_INTERRUPTED} | interrupted (Ctrl-C, or a question answered with no) |")
    out += ["", "## Reasons", ""]
    for code in ExitCode:
        found = [each for each in reasons() if each.exit_code is code]
        if not found:
            continue
        out += [
            f"### Exit code {int(code)}: {code.name.lower().replace('_', ' ')}",
            "",
            "| reason | gRPC status | what it says | what to do |",
            "| --- | --- | --- | --- |",
        ]
        out += [f"| `{each.reason}` | {each.status} | {_cell(each.message)} | {_cell(each.remedy)} |" for each in found]
        out.append("")
    return "\n".join(out)


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"


def main() -> int:
    """Write the page, or with `--check` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    check = parser.parse_args().check
    text = markdown()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/errors.md: {'out of date' if check else 'written'}")
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
