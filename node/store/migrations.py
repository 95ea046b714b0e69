"""What brings an older database up to date. Frozen SQL: it does not change when the tables change again."""

from __future__ import annotations

from pathlib import Path

from cordee.runtime.ballast import Ballast
from cordee.runtime.crashpoint import Crashpoints
from cordee.runtime.database import Database
from cordee.runtime.prepared import Connection
from node.store import NodeTable

__all__ = ["MIGRATIONS", "node_database"]

_SECOND_FACTOR = (
    "DELETE FROM session",  # whoever was signed in signs in again: their sessions had no stage
    "ALTER TABLE session ADD COLUMN stage VARCHAR NOT NULL DEFAULT 'command'",
    "ALTER TABLE session ADD COLUMN challenge BLOB",
    """CREATE TABLE second_factor (
        account_id VARCHAR NOT NULL PRIMARY KEY REFERENCES account (id),
        confirmed BOOLEAN NOT NULL, last_counter INTEGER NOT NULL, sealed_secret BLOB NOT NULL)""",
    """CREATE TABLE recovery_code (
        code_index BLOB NOT NULL PRIMARY KEY, account_id VARCHAR NOT NULL REFERENCES account (id))""",
    "CREATE INDEX ix_recovery_code_account_id ON recovery_code (account_id)",
    """CREATE TABLE passkey (
        credential_index BLOB NOT NULL PRIMARY KEY, account_id VARCHAR NOT NULL REFERENCES account (id),
        added_at DATETIME NOT NULL, sealed_passkey BLOB NOT NULL)""",
    "CREATE INDEX ix_passkey_account_id ON passkey (account_id)",
    """CREATE TABLE case_opening (
        id VARCHAR NOT NULL PRIMARY KEY, case_id VARCHAR NOT NULL REFERENCES case_record (id),
        account_id VARCHAR NOT NULL, at DATETIME NOT NULL, ends_at DATETIME NOT NULL,
        looked_at DATETIME, looked_by VARCHAR, sealed_reason BLOB NOT NULL)""",
    "CREATE INDEX ix_case_opening_case_id ON case_opening (case_id)",
)


_DRAFTS = (
    """CREATE TABLE draft (
        account_id VARCHAR NOT NULL, key_index BLOB NOT NULL, case_id VARCHAR REFERENCES case_record (id),
        saved_at DATETIME NOT NULL, sealed_fields BLOB NOT NULL, PRIMARY KEY (account_id, key_index))""",
    "CREATE INDEX ix_draft_case_id ON draft (case_id)",
    "CREATE INDEX ix_draft_saved_at ON draft (saved_at)",
)

_TEAMS = (
    """CREATE TABLE team (
        id VARCHAR NOT NULL PRIMARY KEY, name_index BLOB NOT NULL UNIQUE, created_at DATETIME NOT NULL,
        sealed_name BLOB NOT NULL)""",
    """CREATE TABLE team_member (
        team_id VARCHAR NOT NULL REFERENCES team (id), account_id VARCHAR NOT NULL REFERENCES account (id),
        PRIMARY KEY (team_id, account_id))""",
    "CREATE INDEX ix_team_member_account_id ON team_member (account_id)",
    """CREATE TABLE case_team (
        case_id VARCHAR NOT NULL PRIMARY KEY REFERENCES case_record (id),
        team_id VARCHAR NOT NULL REFERENCES team (id))""",
    "CREATE INDEX ix_case_team_team_id ON case_team (team_id)",
    "CREATE INDEX ix_case_opening_account_id ON case_opening (account_id)",
)


_CHANGES = (
    "ALTER TABLE case_record ADD COLUMN change INTEGER NOT NULL DEFAULT 0",
    "UPDATE case_record SET change = rowid",
    "CREATE INDEX ix_case_record_change ON case_record (change)",
)


_AGENDA = (
    """CREATE TABLE agenda (
        id VARCHAR NOT NULL PRIMARY KEY, case_id VARCHAR NOT NULL REFERENCES case_record (id),
        week INTEGER, sealed_due BLOB)""",
    "CREATE INDEX ix_agenda_case_id ON agenda (case_id)",
    "CREATE INDEX agenda_by_week ON agenda (week)",
    "CREATE INDEX agenda_to_make ON agenda (id) WHERE sealed_due IS NULL",
    # What they ask for is sealed: the node makes it once its vault is open.
    "INSERT INTO agenda (id, case_id) SELECT id, id FROM case_record WHERE state <> 'erased'",
    "INSERT INTO agenda (id, case_id) SELECT id, case_id FROM act",
    "ALTER TABLE draft ADD COLUMN sealed_form BLOB",
    "CREATE INDEX transfer_by_time ON transfer (updated_at)",
    "CREATE INDEX transfer_open ON transfer (state) WHERE state IN ('offered', 'accepted', 'shipped')",
    "CREATE INDEX transfer_to_erase ON transfer (erasure) WHERE erasure = 'asked'",
)

_NOTICES = (
    """CREATE TABLE notice (
        account_id VARCHAR NOT NULL PRIMARY KEY REFERENCES account (id), sealed_wish BLOB NOT NULL,
        sealed_known BLOB NOT NULL, sent_at DATETIME, due_at DATETIME)""",
)


_EVIDENCE_VIEWS = (
    """CREATE TABLE evidence_view (
        evidence_id INTEGER NOT NULL PRIMARY KEY REFERENCES evidence (id), view BLOB NOT NULL)""",
)


_WITHDRAWN_BY = (
    """CREATE TABLE withdrawn_by (
        sender BLOB NOT NULL, token_id BLOB NOT NULL, transfer_id BLOB NOT NULL, at DATETIME NOT NULL,
        PRIMARY KEY (sender, token_id))""",
    "INSERT INTO withdrawn_by (sender, token_id, transfer_id, at) SELECT x'', token_id, transfer_id, at FROM withdrawn",
    "DROP TABLE withdrawn",
)


def _second_factor(tx: Connection) -> None:
    """From 1 to 2: the second factor, stages of a session, cases that were opened for a reason."""
    for statement in _SECOND_FACTOR:
        tx.exec_driver_sql(statement)


def _drafts(tx: Connection) -> None:
    """From 2 to 3: what was typed and not yet saved."""
    for statement in _DRAFTS:
        tx.exec_driver_sql(statement)


def _teams(tx: Connection) -> None:
    """From 3 to 4: teams of the association; the reasons that somebody gave are found by their author."""
    for statement in _TEAMS:
        tx.exec_driver_sql(statement)


def _changes(tx: Connection) -> None:
    """From 4 to 5: the order in which cases changed."""
    for statement in _CHANGES:
        tx.exec_driver_sql(statement)


def _agenda(tx: Connection) -> None:
    """From 5 to 6: what cases ask for, and when; which form a draft is of; transfers that are news by an index."""
    for statement in _AGENDA:
        tx.exec_driver_sql(statement)


def _notices(tx: Connection) -> None:
    """From 6 to 7: who wants to be told by e-mail."""
    for statement in _NOTICES:
        tx.exec_driver_sql(statement)


def _evidence_views(tx: Connection) -> None:
    """What the directory showed of a longer log that does not continue ours."""
    for statement in _EVIDENCE_VIEWS:
        tx.exec_driver_sql(statement)


def _withdrawn_by(tx: Connection) -> None:
    """Whose withdrawal it was that came before its offer."""
    for statement in _WITHDRAWN_BY:
        tx.exec_driver_sql(statement)


MIGRATIONS = (_second_factor, _drafts, _teams, _changes, _agenda, _notices, _evidence_views, _withdrawn_by)
"""In order; what is appended makes the next version."""


def node_database(path: Path, *, crashpoints: Crashpoints | None = None, ballast: Ballast | None = None) -> Database:
    """The node's database, not yet open. Whoever opens it brings it up to date."""
    return Database(path, NodeTable.metadata, crashpoints=crashpoints, migrations=MIGRATIONS, ballast=ballast)
