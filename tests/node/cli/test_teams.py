from __future__ import annotations

import json
from pathlib import Path

from ..association import PASSWORD, case_body
from .conftest import Cordee


async def test_teams_and_what_nobody_may_open_any_more(cordee: Cordee, socket: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)

    async def come(name: str) -> None:
        assert (await cordee("node", "login", name, "--password-file", str(secret))).code == 0

    await come("Adrien")
    assert (await cordee("node", "team", "add", "Nuit")).code == 0
    assert (await cordee("node", "team", "change", "Nuit", "--in", "Hélène")).code == 0
    await come("Hélène")
    path = tmp_path / "case.json"
    path.write_text(json.dumps(case_body()))
    case_id = (await cordee("case", "new", str(path))).json["case_id"]
    await come("Léa")
    assert (await cordee("case", "list")).json == []
    (found,) = (await cordee("case", "list", "--named", case_body()["meta"]["pseudonym"])).json
    assert (found["case_id"], found["kept"], found["pseudonym"]) == (case_id, True, "")
    refused = await cordee("case", "show", case_id)
    assert refused.error["reason"] == "NEED_TO_KNOW"
    reason = ("--reason", "Elle appelle ce soir, sa référente est absente.")
    assert (await cordee("case", "open", case_id, *reason)).json == {"case_id": case_id, "open": True}
    assert (await cordee("case", "show", case_id)).code == 0
    await come("Adrien")
    alone = await cordee("--yes", "node", "user", "disable", "Hélène")
    assert alone.error["reason"] == "CASES_LEFT_ALONE"
    assert (await cordee("--yes", "node", "user", "disable", "Hélène", "--leave-cases")).code == 0
    (orphan,) = (await cordee("node", "team", "orphans")).json
    assert (await cordee("node", "team", "give", orphan["case_id"], "--to", "Léa")).code == 0
    assert (await cordee("node", "team", "orphans")).json == []
