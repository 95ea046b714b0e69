"""The one command, `cordee`. It knows its parts by name only and imports the one that is asked for."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from cordee.errors import N_, CordeeError, ExitCode, Problem, Unreachable
from cordee.runtime.output import clean, to_json
from cordee.runtime.texts import LANGUAGES, language_of, problems, refused_by_system, text, translate

__all__ = ["PARTS", "Part", "main", "root"]

INTERRUPTED = 130

_OF_DATABASES = ("sqlite3", "sqlalchemy")  # packages whose errors may tell of a full disk; slow to import


@dataclass(frozen=True)
class Part:
    """A group or command: where it is, and its line of help."""

    where: str  # "module:attribute"
    help: str


PARTS = {
    "demo": Part("node.cli.demo:command", N_("A whole network on this machine, with made-up cases, to try it out.")),
    "directory": Part("directory.cli.directory:group", N_("Run a network's directory.")),
    "admin": Part("directory.cli.admin:group", N_("Found a network; admit, suspend and remove its members.")),
    "node": Part("node.cli.node:group", N_("Run an association's node; sign in.")),
    "case": Part("node.cli.case:group", N_("Write, read, close and erase cases.")),
    "consent": Part("node.cli.consent:group", N_("Record and withdraw consent acts.")),
    "members": Part("node.cli.members:group", N_("Find the other associations.")),
    "transfer": Part("node.cli.transfer:group", N_("Offer, accept and follow transfers of cases.")),
    "practice": Part("node.cli.practice:group", N_("Practise with invented cases, apart from everything real.")),
    "audit": Part("node.cli.audit:group", N_("Read and check the journal of who did what.")),
    "verify": Part("node.cli.verify:command", N_("Judge evidence offline: proofs, erasures, journals, rosters.")),
}

_EXIT_CODES = (
    (ExitCode.DONE, N_("done")),
    (ExitCode.UNEXPECTED, N_("unexpected error")),
    (ExitCode.USAGE, N_("wrong usage")),
    (ExitCode.NOT_FOUND, N_("not found")),
    (ExitCode.INVALID, N_("invalid input or configuration")),
    (ExitCode.REFUSED, N_("refused: permission, consent or policy")),
    (ExitCode.CONFLICT, N_("conflict: it exists already, or something else was done first")),
    (ExitCode.UNREACHABLE, N_("the other end cannot be reached; try again later")),
    (ExitCode.INTEGRITY, N_("a signature, a hash or the journal does not hold")),
    (INTERRUPTED, N_("interrupted")),
)


@dataclass
class _Settings:
    """What errors need to know before, and after, any command runs."""

    output: str = "table"
    language: str = "en"
    verbose: int = 0


class _Root(click.Group):
    """A group whose help is written, and whose parts are found, without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one part. Raises: click.ClickException if it is not installed."""
        part = PARTS.get(cmd_name)
        return None if part is None else _load(cmd_name, part)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The parts, each with its line."""
        language = _settings(ctx).language
        with formatter.section(text(N_("Commands"), language)):
            formatter.write_dl([(name, text(part.help, language)) for name, part in PARTS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        language = _settings(ctx).language
        with formatter.section(text(N_("Exit codes"), language)):
            formatter.write_dl([(str(int(code)), text(meaning, language)) for code, meaning in _EXIT_CODES])


class _Missing(click.ClickException):
    exit_code = int(ExitCode.USAGE)


def _load(name: str, part: Part) -> click.Command:
    module_name, _, attribute = part.where.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        # Only if it is the part itself that is missing: anything else is a fault, and is shown as one.
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise
        raise _Missing(f"“cordee {name}” is not part of this installation ({module_name} is missing).") from None
    command: click.Command = getattr(module, attribute)
    return command


def _settings(ctx: click.Context) -> _Settings:
    return ctx.find_root().ensure_object(_Settings)


def _set(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep an option where errors find it, even if a later option is wrong."""
    if value is not None:
        setattr(_settings(ctx), {"lang": "language"}.get(param.name or "", param.name or ""), value)
    return value


@click.group(
    "cordee",
    cls=_Root,
    help="Share the case of a minor between associations: with consent, encrypted from end to end.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=language_of,
    callback=_set,
    is_eager=True,
    show_default="as the environment says",
    help="Language of messages.",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json", "ndjson"]),
    default="table",
    callback=_set,
    is_eager=True,
    show_default=True,
    help="For people, or for programs; with JSON, errors are JSON as well.",
)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
@click.option("--yes", is_flag=True, help="Answer yes to every question.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No messages but errors.")
@click.option("--verbose", "-v", count=True, callback=_set, help="More messages; with faults, where they came from.")
@click.option("--no-color", is_flag=True, envvar="NO_COLOR", help="Plain text.")
@click.version_option(package_name="cordee", message="%(version)s")
def root(**_: object) -> None:
    """The options are read by the parts, from the root's context."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    settings = _Settings()
    try:
        result = root.main(arguments, prog_name="cordee", standalone_mode=False, obj=settings)
        code = result if isinstance(result, int) else int(ExitCode.DONE)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        code = done.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except click.ClickException as wrong:
        code = _tell_usage(wrong, settings)
    except BrokenPipeError:  # whoever read our output has seen enough; click itself ends in 1 as well
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = int(ExitCode.UNEXPECTED)
    except Exception as error:
        code = _tell(_ours(error), settings, error)
    sys.exit(code)


def _ours(error: Exception) -> CordeeError | None:
    """The error with a reason that this is, if it is one."""
    if isinstance(error, CordeeError):
        return error
    if type(error).__module__.startswith("grpc"):  # asked without importing gRPC, which is slow
        import grpc

        from cordee.runtime.rpc_errors import from_rpc_error

        if isinstance(error, grpc.RpcError):
            return from_rpc_error(error)
    if isinstance(error, OSError | MemoryError) or type(error).__module__.partition(".")[0] in _OF_DATABASES:
        from cordee.runtime.exhausted import told

        known = told(error, what=N_("this computer"))
        if known is not None or not isinstance(error, OSError):
            return known
        if isinstance(error, ConnectionError | TimeoutError):
            return Unreachable(peer=N_("The other end"))
        return refused_by_system(error)
    return None


def _tell(known: CordeeError | None, settings: _Settings, error: Exception) -> int:
    if settings.verbose:
        click.echo("\n".join(_trace(error)), err=True)
    if known is None:
        # Its text may hold what is in a case.
        message = f"{text(N_('Something unexpected went wrong'), settings.language)} ({_where(error)})."
        remedy = text(N_("Try again with -v and tell whoever looks after this machine."), settings.language)
        _print(settings, reason="UNEXPECTED", message=message, remedy=remedy, facts={})
        return int(ExitCode.UNEXPECTED)
    message, remedy = translate(known, settings.language, with_codes=True)
    found = problems(known, settings.language)
    _print(settings, reason=known.reason, message=message, remedy=remedy, facts=known.facts, problems=found)
    return int(known.exit_code)


def _tell_usage(wrong: click.ClickException, settings: _Settings) -> int:
    if settings.output == "table":
        wrong.show()
    else:
        _print(settings, reason="USAGE", message=wrong.format_message(), remedy="", facts={})
    return wrong.exit_code


def _print(
    settings: _Settings,
    *,
    reason: str,
    message: str,
    remedy: str,
    facts: dict[str, str],
    problems: Sequence[Problem] = (),
) -> None:
    if settings.output != "table":
        answer = {"reason": reason, "message": message, "remedy": remedy, "facts": facts}
        more = {"problems": [{"path": each.path, "problem": each.problem} for each in problems]} if problems else {}
        click.echo(to_json(answer | more), err=True)
        return
    click.echo(text(N_("Error: {message}"), settings.language).format(message=clean(message)), err=True)
    for each in problems[1:]:  # the message tells the first
        told = text(N_("{path}: {problem}."), settings.language)
        click.echo(f"  {clean(told.format(path=each.path, problem=each.problem))}", err=True)
    if remedy:
        click.echo(clean(remedy), err=True)


def _trace(error: BaseException) -> list[str]:
    """The classes and the places of an error and of those before it. Python's own would show their texts as well,
    and that is sent to whoever looks after the machine: a database's may hold what is in a case.
    """
    import traceback

    told: list[str] = []
    now: BaseException | None = error
    seen: set[int] = set()
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        told.append(type(now).__name__)
        for frame, line in traceback.walk_tb(now.__traceback__):
            told.append(f"  {frame.f_code.co_filename}:{line}, {frame.f_code.co_name}")
        if isinstance(now, BaseExceptionGroup):
            told += [f"  | {line}" for each in now.exceptions for line in _trace(each)]
        now = now.__cause__ if now.__suppress_context__ else now.__cause__ or now.__context__
    return told


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__}, {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


if __name__ == "__main__":
    main()
