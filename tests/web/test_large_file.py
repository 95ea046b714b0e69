"""A file of 50 MB from a browser's field to the other association: the same bytes, and never in clear on a disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, Route, expect

from cordee.transfer import Party, State
from node.demo.stage import House
from tests.web.browsing import CHROMIUM, FLAGS, WAITING, sign_in
from tests.web.conftest import Open
from tests.web.journey import Desk, desk
from tests.web.town import Town
from tests.web.watching import Watcher

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SIZE = 50_000_000
BLOCK = 4096
MARKER = hashlib.sha256(b"a file that nobody else has").hexdigest()[:32].encode()
NAME = "enregistrement.bin"

# What the page tells, in the order in which it happens: each step of the bar, the node's answer, the last word.
_LISTEN = """() => {
  window.told = [];
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...given) {
    this.addEventListener("load", () => told.push(["answered", this.status, this.response && this.response.sha256]));
    return send.apply(this, given);
  };
  new MutationObserver(() => {
    const bar = document.querySelector("#uploads progress");
    told.push(document.querySelector("#uploads .good") ? ["done"] : ["at", bar ? bar.value / bar.max : -1]);
  }).observe(document.querySelector("#uploads"), { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bytes each time, that cannot be compressed, with the marker every four KiB."""
    path = tmp_path_factory.mktemp("desk") / NAME
    with path.open("wb") as made:
        for number in range(-(-SIZE // BLOCK)):
            filler = hashlib.shake_128(number.to_bytes(8, "big")).digest(BLOCK - len(MARKER))
            made.write((MARKER + filler)[: SIZE - number * BLOCK])
    return path


@contextmanager
def own_browser(chromium: Browser, house: House, language: str) -> Iterator[Desk]:
    """With a profile, downloads and temporary files in a folder that is nobody else's."""
    with TemporaryDirectory(prefix="cordee-", dir="/tmp") as short:  # Chromium makes a socket below it
        yield from _opened(chromium, house, language, Path(short))


def _opened(chromium: Browser, house: House, language: str, folder: Path) -> Iterator[Desk]:
    for name in ("profile", "downloads", "temporary"):
        (folder / name).mkdir()
    context = chromium.browser_type.launch_persistent_context(
        folder / "profile",
        executable_path=CHROMIUM,
        args=FLAGS,
        downloads_path=folder / "downloads",
        env={**os.environ, "TMPDIR": str(folder / "temporary")},
        locale=language,
        reduced_motion="reduce",
    )
    try:
        context.set_default_timeout(WAITING)
        page = context.new_page()
        sign_in(page, house)
        yield Desk(page, house, language)
    finally:
        context.close()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_large_file_arrives_unchanged_and_no_clear_copy_lies_on_a_disk_at_any_moment(
    town: Town, chromium: Browser, file: Path, language: str
) -> None:
    wanted = hashlib.sha256(file.read_bytes()).hexdigest()

    def pids() -> list[int]:
        return [each.process.pid for each in town.stage.programs if each.process is not None]

    with ExitStack() as stack:
        ours = stack.enter_context(own_browser(chromium, town.helpline, language))
        theirs = stack.enter_context(own_browser(chromium, town.shelter, language))
        watcher = stack.enter_context(Watcher(MARKER, [town.stage.folder, town.temporary], pids))

        case = ours.open_case("Mélisse")
        _attach(ours, file, wanted)
        ours.page.goto(case)
        ours.record_agreement(town.shelter, files=[NAME])
        transfer = ours.offer(case, town.shelter, files=[NAME])
        theirs.go(f"transfers/{transfer}")
        theirs.accept()
        theirs.sees(theirs.state(State.RECEIVED, Party.RECIPIENT))
        ours.sees(ours.state(State.RECEIVED, Party.SENDER))

        theirs.sees(theirs.link("Open the case"))
        theirs.link("Open the case").click()
        theirs.link("Files").click()
        with theirs.page.expect_download() as download:
            theirs.page.get_by_role("link", name=NAME).click()
        assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == wanted

    assert watcher.found == set()
    assert watcher.largest >= SIZE, "what seals the file was looked at too"
    assert watcher.rounds > 10


def _attach(ours: Desk, file: Path, wanted: str) -> None:
    """Chosen in the field; the bar moves, and the last word comes after the node's."""
    page = ours.page
    ours.link("Files").click()
    page.locator("#file").set_input_files(file)
    page.locator("[name=section]").select_option("situation")
    page.locator("[name=may_be_sent]").check()
    page.evaluate(_LISTEN)
    ours.button("Add the file").click()
    done = page.locator("#uploads .good")
    expect(done).to_contain_text(ours.words("Kept. The fingerprint is the same here and there:"))
    expect(done.locator("code")).to_have_text(wanted)
    told = page.evaluate("told")
    kinds = [each[0] for each in told]
    answered = kinds.index("answered")
    assert told[answered] == ["answered", 201, wanted]
    assert "done" not in kinds[:answered]
    moved = [share for kind, share in told[:answered] if kind == "at" and 0 < share < 1]
    assert moved == sorted(moved)
    assert len(set(moved)) >= 2, told[:answered]
    expect(page.locator("#kept-files").get_by_role("link", name=NAME)).to_be_visible()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 201, "json": {"sha256": "00" * 32, "size": "5 o", "place": "/"}}, "What was kept is not what was"),
        ({"status": 201, "json": {}}, "What was kept is not what was"),
        ({"status": 500, "body": "failed"}, "The connection broke off; nothing was kept."),
        (None, "The connection broke off; nothing was kept."),
    ],
    ids=["another fingerprint", "no fingerprint", "a failure", "no answer"],
)
def test_without_the_nodes_own_fingerprint_of_this_very_file_nothing_is_called_kept(
    town: Town, open_page: Open, answer: dict[str, object] | None, said: str
) -> None:
    ours = desk(open_page, town.helpline, language="en")
    ours.go(f"files/{town.ready}")

    def answered(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
        elif answer is None:
            route.abort()
        else:
            route.fulfill(**answer)  # type: ignore[arg-type]  # as the table above has them

    ours.page.route("**/files/*", answered)
    given = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"Une note."}
    ours.page.locator("#file").set_input_files(given)  # type: ignore[arg-type]  # a FilePayload
    ours.button("Add the file").click()
    expect(ours.page.locator("#uploads .wrong")).to_contain_text(said)
    expect(ours.page.locator("#uploads .good")).to_have_count(0)
