from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cordee.runtime import command
from cordee.runtime.command import PARTS, Part, main
from cordee.runtime.texts import language_of, translate

PART = """
import asyncio, signal, os, sys
import click
from cordee.errors import InvalidRecord, OutOfScope, Problem, RosterForked

@click.group()
def group():
    pass

@group.command()
def refused():
    raise OutOfScope(item="health\\x1b[31m")

@group.command()
def forked():
    raise RosterForked(size=3)

@group.command()
def problems():
    raise InvalidRecord(
        problems=[
            Problem.of("family[0].role", "must be one of {options}", options="mother, father"),
            Problem.of(
                "{file}: {place}", "must have at most {limit} item(s)", file="a.json", place="the document", limit=3
            ),
        ]
    )

@group.command()
def fault():
    raise ValueError("Lina Haddad")

@group.command()
@click.argument("kind")
def full(kind):
    import errno, sqlite3
    from sqlalchemy.exc import OperationalError
    if kind == "file":
        raise OSError(errno.ENOSPC, "Lina Haddad")
    failed = sqlite3.OperationalError("Lina Haddad")
    failed.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise failed if kind == "driver" else OperationalError("Lina Haddad", {}, failed)

@group.command()
@click.argument("code")
@click.argument("paths", nargs=-1)
def system(code, paths):
    import errno
    number = getattr(errno, code, 0)
    raise OSError(number, "Lina Haddad", *paths[:1], *((None, paths[1]) if paths[1:] else ()))

@group.command()
def elsewhere():
    raise TimeoutError("Lina Haddad")

@group.command()
@click.argument("path")
def reading(path):
    open(path).close()

@group.command()
@click.argument("kind")
def nested(kind):
    if kind == "several":
        raise ExceptionGroup("Lina", [KeyError("Lina")])
    try:
        raise KeyError("Lina")
    except KeyError as error:
        if kind == "caused":
            raise ValueError("Lina") from error
        raise ValueError("Lina")

@group.command()
def rpc():
    import grpc.aio
    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())

@group.command()
def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    asyncio.run(asyncio.sleep(10))

@group.command()
@click.pass_context
def endless(ctx):
    while True:
        click.echo("line")

@group.command()
@click.pass_context
def three(ctx):
    ctx.exit(3)

@group.command()
@click.pass_context
def options(ctx):
    click.echo(sorted(ctx.find_root().params.items()))
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Types a command of a part made for the test; gives exit code, stdout, stderr."""
    (tmp_path / "part_of_a_test.py").write_text(PART)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PARTS, "demo", Part("part_of_a_test:group", "A part."))
    monkeypatch.setitem(PARTS, "admin", Part("no_such_package.cli:group", "Another."))

    def typed(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return typed


def test_help_names_every_part_and_exit_code_without_importing_any(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in PARTS)
    assert "130" in out
    assert "part_of_a_test" not in sys.modules


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    code, out, err = run()
    assert code == 2
    assert "Exit codes" in out + err


def test_an_error_ends_in_its_exit_code_with_text_and_remedy(run: Run) -> None:
    code, out, err = run("--lang", "en", "demo", "refused")
    assert (code, out) == (5, "")
    assert err.startswith("Error: health")
    assert "\x1b" not in err
    assert "Nothing was imported" in err


def test_for_programs_an_error_is_json_on_stderr(run: Run) -> None:
    code, out, err = run("--lang", "en", "--output", "json", "demo", "forked")
    assert (code, out) == (8, "")
    told = json.loads(err)
    assert told["reason"] == "ROSTER_FORKED"
    assert told["facts"] == {"size": "3"}
    assert "(size 3)" in told["message"]
    assert told["remedy"]


@pytest.mark.parametrize("kind", ["file", "driver", "database"])
def test_a_full_disk_is_told_as_one_in_the_readers_language(run: Run, kind: str) -> None:
    code, _, err = run("--lang", "fr", "demo", "full", kind)
    assert code == 7
    assert "plus de place sur le disque (cet ordinateur)" in err
    assert "Haddad" not in err


@pytest.mark.parametrize(
    ("code", "problem", "advice"),
    [
        ("EACCES", "ce compte n’a pas le droit de l’ouvrir", "Utilisez le compte auquel il appartient"),
        ("EROFS", "son disque est en lecture seule", "Choisissez un emplacement sur un autre disque, ou montez"),
        ("EISDIR", "c’est un répertoire", "Indiquez un fichier."),
        ("ENOENT", "ce fichier ou ce répertoire n’existe pas", "Vérifiez le chemin."),
        ("EADDRINUSE", "on ne peut pas y écouter", "choisissez un autre port"),
        ("EDOM", "le système le refuse (EDOM)", "Recommencez avec -v"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_file_and_what_to_do(
    run: Run, code: str, problem: str, advice: str
) -> None:
    ended, out, err = run("--lang", "fr", "demo", "system", code, "/srv/a file")
    assert (ended, out) == (4, "")
    first, second = err.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert first.startswith(f"Erreur : /srv/a file : {problem}")
    assert advice in second
    ended, _, err = run("--lang", "en", "--output", "json", "demo", "system", code, "/srv/a file")
    told = json.loads(err)
    assert (ended, told["reason"], told["facts"]["what"]) == (4, "SYSTEM_REFUSED", "/srv/a file")
    assert told["facts"]["code"] == code
    assert told["remedy"] == f"Nothing was changed there. {told['facts']['advice']}"
    assert "Haddad" not in err


def test_of_two_files_the_one_that_is_in_the_way_is_named(run: Run) -> None:
    _, _, err = run("--lang", "en", "demo", "system", "EEXIST", "/srv/.draft", "/srv/kept")
    assert err.startswith("Error: /srv/kept: it is there already.")


def test_what_the_system_refuses_without_a_file_is_told_of_this_computer(run: Run) -> None:
    _, _, err = run("--lang", "en", "demo", "system", "EPERM")
    assert err.startswith("Error: this computer: the system does not allow it")


def test_a_connection_that_fails_is_the_other_ends(run: Run) -> None:
    code, _, err = run("--lang", "en", "demo", "elsewhere")
    assert (code, err.splitlines()[0]) == (7, "Error: The other end cannot be reached.")


def test_what_the_system_itself_refuses_is_known_by_its_kind(run: Run, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "file").touch()
    told = {
        tmp_path: "it is a folder",
        tmp_path / "none": "there is no such file or folder",
        tmp_path / "file" / "below": "a part of its path is no folder",
        tmp_path / "round": "it is a link, or its links lead nowhere",
        tmp_path / ("n" * 300): "its name is too long",
    }
    for path, problem in told.items():
        assert run("--lang", "en", "demo", "reading", str(path))[2].startswith(f"Error: {path}: {problem}.")


def test_every_problem_of_a_record_is_told_in_the_readers_language(run: Run) -> None:
    code, _, err = run("--lang", "en", "demo", "problems")
    assert code == 4
    assert err.splitlines()[:2] == [
        "Error: family[0].role: must be one of mother, father.",
        "  a.json: the document: must have at most 3 item(s).",
    ]
    code, _, err = run("--lang", "fr", "--output", "json", "demo", "problems")
    told = json.loads(err)
    assert told["message"] == "family[0].role\u00a0: au choix\u00a0: mother, father."
    assert told["problems"] == [
        {"path": "family[0].role", "problem": "au choix\u00a0: mother, father"},
        {"path": "a.json\u00a0: le document", "problem": "doit avoir au plus 3 élément(s)"},
    ]


@pytest.mark.parametrize("output", ["table", "json"])
def test_what_nobody_expected_does_not_show_its_text(run: Run, output: str) -> None:
    code, _, err = run("--output", output, "demo", "fault")
    assert code == 1
    assert "Lina" not in err
    assert "ValueError, part_of_a_test.py:" in err


@pytest.mark.parametrize("kind", ["caused", "during", "several"])
def test_with_v_each_class_and_place_is_told_and_no_text(run: Run, kind: str) -> None:
    """What -v prints is sent to whoever looks after the machine."""
    code, _, err = run("-v", "demo", "nested", kind)
    assert code == 1
    assert "Lina" not in err
    told = [line.strip(" |") for line in err.splitlines()]
    assert told.count("KeyError") == told.count("ValueError" if kind != "several" else "ExceptionGroup") == 1
    assert "part_of_a_test.py" in err
    assert "nested" in err


def test_what_grpc_raises_has_a_reason(run: Run) -> None:
    code, _, err = run("--output", "json", "demo", "rpc")
    assert (code, json.loads(err)["reason"]) == (7, "UNREACHABLE")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("demo", "nonsense"), ("demo", "three", "--nonsense"), ("--lang", "xx")]
)
def test_wrong_usage_ends_in_two(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2
    code, _, err = run("--output", "json", *arguments)
    assert (code, json.loads(err)["reason"]) == (2, "USAGE")


def test_a_part_that_is_not_installed_is_named(run: Run) -> None:
    code, _, err = run("admin", "key", "new")
    assert code == 2
    assert "“cordee admin” is not part of this installation" in err


def test_a_part_that_is_broken_is_not_taken_for_missing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_part.py").write_text("import no_such_library\n")
    monkeypatch.setitem(PARTS, "node", Part("broken_part:group", "Broken."))
    code, _, err = run("node")
    assert code == 1
    assert "ModuleNotFoundError" in err


def test_a_commands_own_exit_code_is_kept(run: Run) -> None:
    assert run("demo", "three")[0] == 3


def test_being_interrupted_ends_in_130(run: Run) -> None:
    assert run("demo", "interrupted")[0] == 130


def test_the_global_options_reach_the_parts(run: Run) -> None:
    _, out, _ = run("--yes", "--dry-run", "--config", "x.toml", "--lang", "fr", "demo", "options")
    for item in ("('yes', True)", "('dry_run', True)", "('lang', 'fr')", "('output', 'table')", "('quiet', False)"):
        assert item in out


def test_the_version_can_be_asked(run: Run) -> None:
    code, out, err = run("--version")
    assert code == 0 or "not installed" in err
    assert out or err


def test_a_reader_that_has_seen_enough_gets_no_complaint(tmp_path: Path) -> None:
    (tmp_path / "part_of_a_test.py").write_text(PART)
    program = (
        "from cordee.runtime.command import PARTS, Part, main\n"
        "PARTS['demo'] = Part('part_of_a_test:group', '')\nmain(['demo', 'endless'])"
    )
    search = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": search},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(10) == 1


def test_starting_up_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom cordee.runtime.command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        "    heavy = {'grpc', 'sqlalchemy', 'cryptography', 'rich', 'google.protobuf', 'structlog', 'asyncio'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.strip() == "[]"


def test_a_sigterm_is_not_caught_here(tmp_path: Path) -> None:
    (tmp_path / "part_of_a_test.py").write_text(PART)
    program = (
        "from cordee.runtime.command import PARTS, Part, main\n"
        "PARTS['demo'] = Part('part_of_a_test:group', '')\nmain(['demo', 'endless'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    time.sleep(0.5)
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LC_ALL": "en_GB.UTF-8", "LANG": "fr_FR.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "fr_BE"}, "fr"),
        ({"LANG": "de_DE"}, "en"),
        ({"LANG": "C"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_environments_if_we_have_it(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_a_fact_that_is_missing_shows_as_its_name() -> None:
    from cordee.errors import TooLarge

    message, remedy = translate(TooLarge(what="shipment", size=3), "en")
    assert message == "shipment has 3 bytes; the limit is {limit}."
    assert remedy


def test_a_fact_cannot_format_anything() -> None:
    from cordee.errors import NotFound

    assert translate(NotFound(what="{0.__class__} {remedy}"), "en")[0] == "There is no such {0.__class__} {remedy}."


def test_a_role_is_told_by_its_word_alone_and_to_whoever_types_with_its_code() -> None:
    from cordee.errors import RoleMissing

    missing = RoleMissing(role="handler")
    assert "« référent »" in translate(missing, "fr")[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "référent (handler)" in translate(missing, "fr", with_codes=True)[0]
    assert "“handler”" in translate(missing, "en", with_codes=True)[0]


@pytest.mark.parametrize(
    ("language", "who", "day"), [("fr", "Le mineur", "3 mai 2026"), ("en", "The minor", "May 3, 2026")]
)
def test_a_refusal_on_record_is_told_with_who_and_the_day_as_the_reader_writes_it(
    language: str, who: str, day: str
) -> None:
    from cordee.errors import NotCovered

    missing = "an agreement: a refusal is on record (by: {who}, on {day})"
    refused = NotCovered(missing=missing, rule=5, who="minor", day="2026-05-03")
    message = translate(refused, language)[0]
    assert day in message
    assert f"{who}," in message
    assert "2026-05-03" not in message


def test_every_part_has_a_line_of_help() -> None:
    assert all(part.help.endswith(".") for part in command.PARTS.values())
