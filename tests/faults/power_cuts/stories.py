"""What is done while it is recorded: every step that somebody relies on, by the product's own code.

Each story is a function of an empty folder, in which it makes a folder for each machine. It says where it stands by
marks: what follows, and what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.faults.power_cuts import small
from tests.faults.power_cuts.network import a_network

__all__ = ["STORIES"]

STORIES: dict[str, Callable[[Path], None]] = {
    "network": a_network,
    "kit": small.a_kit_and_a_backup,
    "keys": small.keys_in_files,
    "attachment": small.an_attachment,
    "transactions": small.transactions,
    "office": small.a_log_in_the_office,
    "mailbox": small.a_mailbox_at_home,
    "killed": small.a_killed_process,
}
"""By name."""
