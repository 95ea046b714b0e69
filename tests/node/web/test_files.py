"""Files of a case, through the site."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from cordee.errors import CordeeError, DiskFailed, NothingLeft, StorageFull
from node import journal, records
from node.app import Node
from node.attachments import AttachmentWriter, StoredAttachment

from ..conftest import holds
from .browser import Browser

PDF = b"%PDF-1.7\n" + b"un certificat " * 50
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
BOUNDARY = "----trial"

Browse = Callable[..., Awaitable[Browser]]


async def kept(node: Node, case_id: str) -> tuple[StoredAttachment, ...]:
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    return stored.attachments


def body(fields: dict[str, str], name: str, data: bytes, *, end: bool = True) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join((*parts, head, data, f"\r\n--{BOUNDARY}--\r\n".encode() if end else b""))


async def attach(
    browser: Browser, case_id: str, data: bytes, *, name: str = "certificat.pdf", end: bool = True, **typed: str
) -> httpx.Response:
    """As a browser sends the form of the page: its fields first, the file last."""
    form = (await browser.form(f"/files/{case_id}")).fill(**typed)
    return await browser.post(
        form.action,
        content=body(dict(form.fields), name, data, end=end),
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
    )


async def test_a_file_is_kept_with_the_hash_of_its_bytes(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()

    answer = await attach(browser, case_id, PDF, kind="medical_certificate", section="health", may_be_sent="on")

    assert answer.status_code == 303
    (stored,) = await kept(association, case_id)
    assert (stored.sha256, stored.size) == (hashlib.sha256(PDF).digest(), len(PDF))
    assert (stored.kind, stored.section, stored.media_type) == ("medical_certificate", "health", "application/pdf")
    assert stored.may_be_sent
    assert not stored.third_party_data
    shown = await browser.get(answer.headers["location"])
    assert hashlib.sha256(PDF).hexdigest() in shown.text


async def test_what_comes_out_is_what_went_in_and_is_never_opened_as_a_page(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    page = b"<script>alert(1)</script>"
    await attach(browser, case_id, page, name="été.html")
    (stored,) = await kept(association, case_id)

    answer = await browser.get(f"/files/{case_id}/{stored.attachment_id}")

    assert answer.content == page
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A9t%C3%A9.html"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_each_reading_stands_in_the_journal(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    await attach(browser, case_id, PDF)
    (stored,) = await kept(association, case_id)
    await browser.get(f"/files/{case_id}/{stored.attachment_id}")

    lines = await association.db.read(lambda tx: journal.entries(tx))

    assert [
        each.action for each in lines if each.subject == case_id and each.action.startswith(("case.att", "attachment"))
    ] == [
        "case.attached",
        "attachment.read",
    ]


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\x\\\\mot.docx", "mot.docx"),
        ("a\tb\u202egpj.exe", "abgpj.exe"),
        ("..", "document"),
        ("%22><img src=x>", "___img src=x_"),
        ("é" * 400 + ".pdf", "é" * 196 + ".pdf"),
    ],
)
async def test_a_name_leads_nowhere(association: Node, browse: Browse, case_id: str, given: str, safe: str) -> None:
    browser = await browse()

    await attach(browser, case_id, PDF, name=given)

    (stored,) = await kept(association, case_id)
    assert stored.file_name == safe


async def test_an_image_is_refused_beside_online_traces_whatever_its_name_says(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()

    answer = await attach(browser, case_id, PNG, name="capture.txt", section="online_traces")

    assert answer.status_code == 422
    assert "227-23" in answer.text
    assert await kept(association, case_id) == ()
    assert not list((association.data_dir / "attachments").iterdir())


async def test_a_text_is_kept_beside_online_traces(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()

    answer = await attach(
        browser, case_id, "adresse, heure, signalé".encode(), name="pharos.txt", section="online_traces"
    )

    assert answer.status_code == 303
    assert len(await kept(association, case_id)) == 1


async def test_what_breaks_off_leaves_nothing(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()

    answer = await attach(browser, case_id, PDF * 1000, end=False)

    assert answer.status_code == 422
    assert await kept(association, case_id) == ()
    assert not list((association.data_dir / "attachments").iterdir())


async def test_nothing_of_a_file_stands_in_clear_on_disk(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()

    await attach(browser, case_id, b"%PDF-" + b"un secret bien garde " * 200_000)

    assert holds(association.data_dir, b"un secret bien garde") == []


async def test_without_the_forms_token_not_a_byte_of_the_file_is_taken(
    association: Node, browse: Browse, case_id: str
) -> None:
    browser = await browse()
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        whole = body({"form_token": "0" * 32, "kind": "other", "section": "notes"}, "x.pdf", b"x" * 1_000_000)
        for start in range(0, len(whole), 10_000):
            taken += 1
            yield whole[start : start + 10_000]

    answer = await browser.post(
        f"/files/{case_id}",
        content=pieces(),
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}", "content-length": "1000400"},
    )

    assert answer.status_code == 403
    assert taken < 5
    assert await kept(association, case_id) == ()


async def test_ten_gigabytes_are_refused_before_a_byte_is_read(browse: Browse, case_id: str) -> None:
    browser = await browse()

    async def pieces() -> AsyncIterator[bytes]:
        raise AssertionError("nothing may be read")
        yield b""

    answer = await browser.post(
        f"/files/{case_id}",
        content=pieces(),
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}", "content-length": str(10 << 30)},
    )

    assert answer.status_code == 422


async def test_the_script_is_told_the_hash_of_what_was_kept(browse: Browse, case_id: str) -> None:
    browser = await browse()
    form = await browser.form(f"/files/{case_id}")

    answer = await browser.post(
        form.action,
        content=body(dict(form.fields), "x.pdf", PDF),
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}", "accept": "application/json"},
    )

    assert answer.status_code == 201
    assert answer.json()["sha256"] == hashlib.sha256(PDF).hexdigest()


async def test_what_was_chosen_comes_back_when_no_file_was(browse: Browse, case_id: str) -> None:
    browser = await browse()

    answer = await attach(browser, case_id, b"", name="", kind="court_order", section="judicial")

    assert answer.status_code == 422
    assert '<option value="court_order" selected>' in answer.text
    assert "choose a file first" in answer.text


async def test_a_second_file_in_one_form_is_refused(association: Node, browse: Browse, case_id: str) -> None:
    browser = await browse()
    form = await browser.form(f"/files/{case_id}")
    two = body(dict(form.fields), "a.pdf", PDF, end=False) + b"\r\n" + body({}, "b.pdf", PDF)

    answer = await browser.post(
        form.action, content=two, headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    )

    assert answer.status_code == 422
    assert await kept(association, case_id) == ()


@pytest.mark.parametrize("refusal", [StorageFull(what="x"), DiskFailed(what="x"), NothingLeft(what="EMFILE")])
async def test_a_file_that_finds_no_room_is_told_in_the_form_and_kept_once_there_is(
    association: Node, browse: Browse, case_id: str, monkeypatch: pytest.MonkeyPatch, refusal: CordeeError
) -> None:
    browser = await browse()

    def full(self: AttachmentWriter, chunk: bytes) -> None:
        raise refusal

    with monkeypatch.context() as while_it_is_full:
        while_it_is_full.setattr(AttachmentWriter, "write", full)
        answer = await attach(browser, case_id, PDF, kind="medical_certificate", section="health")
    assert answer.status_code == 503
    assert 'id="file-error"' in answer.text
    assert '<option value="medical_certificate" selected' in answer.text
    assert list((association.data_dir / "attachments").iterdir()) == []
    assert (await attach(browser, case_id, PDF, kind="medical_certificate", section="health")).status_code == 303


async def test_a_page_on_a_full_disk_says_so(
    association: Node, browse: Browse, case_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await browse()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records, "read_case", full)
    answer = await browser.get(f"/files/{case_id}")
    assert answer.status_code == 503
    assert "There is no room left on the disk" in answer.text
