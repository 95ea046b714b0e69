from __future__ import annotations

import json
from pathlib import Path

from ..association import PASSWORD, case_body
from .conftest import Cordee


async def test_who_looks_after_the_node_reads_what_is_left_before_it_may_leave(
    cordee: Cordee, socket: Path, tmp_path: Path
) -> None:
    async def as_(name: str) -> None:
        assert (await cordee("node", "login", name, "--password-file", "-", stdin=PASSWORD)).code == 0

    await as_("Adrien")
    assert (await cordee("node", "leaving")).json == {"may_leave": True, "left": []}
    await as_("Hélène")
    assert (await cordee("node", "leaving")).error["reason"] == "ROLE_MISSING"
    (tmp_path / "case.json").write_text(json.dumps(case_body()))
    created = (await cordee("case", "new", str(tmp_path / "case.json"))).json
    await as_("Adrien")
    told = (await cordee("node", "leaving")).json
    assert not told["may_leave"]
    assert [(each["what"], each["count"], each["ids"]) for each in told["left"]] == [
        ("open_cases", 1, [created["case_id"]])
    ]
    assert "may remove it" not in (await cordee("--lang", "en", "node", "leaving", output=None)).out
