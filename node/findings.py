"""What can be wrong with a node, in words, and what to do about it. docs/operations.md lists the same."""

from __future__ import annotations

from typing import Final

from cordee.errors import N_, ExitCode
from cordee.runtime.checkup import COMMON
from cordee.runtime.doctor import Ailment, Ailments, Severity

__all__ = ["NODE"]

_BROKEN, _SOON, _ADVICE = Severity

NODE: Final = Ailments(
    [
        *COMMON,
        # ---- the folder, whether the node runs or not ----
        Ailment(
            "not_initialised",
            _BROKEN,
            N_("There is no node in {folder}."),
            N_("Give the right folder (CORDEE_NODE_DATA_DIR), or make a node: cordee node init."),
            ExitCode.NOT_FOUND,
        ),
        Ailment(
            "file_missing",
            _BROKEN,
            N_("The file {file} is missing; without it the node cannot start."),
            N_("Bring the node back from its newest backup: cordee node restore."),
            ExitCode.NOT_FOUND,
        ),
        Ailment(
            "not_joined",
            _SOON,
            N_("The node has not been admitted to a network yet."),
            N_("See how far it has come, and who must act next: cordee node status."),
        ),
        Ailment(
            "spool_full",
            _SOON,
            N_("Transfers under way take {size} on this disk, more than is left ({free})."),
            N_("Make room; answer or withdraw transfers that wait: cordee transfer list."),
        ),
        Ailment(
            "vault_damaged",
            _BROKEN,
            N_("The vault’s file {file} cannot be read: it is damaged."),
            N_("Put back vault.json from the newest backup; without it the recovery kit opens a backup."),
            ExitCode.INTEGRITY,
        ),
        Ailment(
            "passphrase_file",
            _BROKEN,
            N_("The passphrase’s file {file} cannot be used: {problem}."),
            N_("Correct the setting; the file belongs to the node’s account, mode 600."),
        ),
        Ailment(
            "vault_locked",
            _BROKEN,
            N_("The vault stays locked: the passphrase in {file} does not open it."),
            N_("Find the right passphrase; if it is lost, two people bring the node back with the recovery kit."),
            ExitCode.REFUSED,
        ),
        Ailment(
            "setting_wrong",
            _BROKEN,
            N_("The setting {setting} cannot be used: {problem}."),
            N_("Correct it where the node is started (systemctl edit cordee-node), then start it again."),
        ),
        # ---- the process ----
        Ailment(
            "not_running",
            _BROKEN,
            N_("The node does not run: nobody answers at {socket}."),
            N_("Start it: systemctl start cordee-node (or cordee node serve); its log says why it ended."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "not_answering",
            _BROKEN,
            N_("The node runs but does not answer at {socket} ({reason})."),
            N_("Start it again: systemctl restart cordee-node. If that repeats itself, tell its maintainers."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "port_taken",
            _BROKEN,
            N_("Another program listens on {address}, where the node is to serve ({setting})."),
            N_("End that program (ss -ltnp shows it), or choose another address."),
            ExitCode.CONFLICT,
        ),
        Ailment(
            "other_version",
            _SOON,
            N_("The node that runs is version {running}; version {installed} is installed."),
            N_("Start it again, so that the installed version runs: systemctl restart cordee-node"),
        ),
        Ailment(
            "freed_memory_kept",
            _ADVICE,
            N_("The node does not overwrite the memory that it gives back: keys can be found there for a while."),
            N_("Start it with PYTHONMALLOC=malloc and the GLIBC_TUNABLES that docs/secrets.md names."),
        ),
        # ---- the network ----
        Ailment(
            "roster_alarm",
            _BROKEN,
            N_("The list of members is in doubt ({reason}): nothing is sent and nothing is imported."),
            N_("Call the network’s office, and give them the evidence: cordee node evidence."),
            ExitCode.INTEGRITY,
        ),
        Ailment(
            "directory_away",
            _BROKEN,
            N_("There is no connection to the directory."),
            N_("Look at this machine’s network; ask the network’s office. Transfers go on by themselves afterwards."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "roster_stale",
            _BROKEN,
            N_("The newest list of members is of {time}, older than the limit of {limit}: nothing is sent."),
            N_("Look at the connection to the directory, and at this machine’s clock (timedatectl)."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "clock_wrong",
            _BROKEN,
            N_("This machine’s clock does not agree with what the directory signed: {here} here, {there} there."),
            N_("Let the machine take its time from the network: timedatectl set-ntp true"),
        ),
        Ailment(
            "certificate_damaged",
            _BROKEN,
            N_("The node’s certificate {file} cannot be read: it is damaged."),
            N_(
                "Let the node run: within the hour it asks for another by itself. If it does not start any more, bring"
                " it back from its newest backup: cordee node restore."
            ),
            ExitCode.INTEGRITY,
        ),
        Ailment(
            "certificate_expired",
            _BROKEN,
            N_("The node’s certificate ran out on {time}."),
            N_("Start the node again: it asks for a new one by itself. Else ask the network’s office."),
            ExitCode.REFUSED,
        ),
        Ailment(
            "certificate_soon",
            _SOON,
            N_("The node’s certificate runs out on {time} and was not renewed."),
            N_("Look at the connection to the directory; the node tries again each hour."),
        ),
        Ailment(
            "card_expired",
            _BROKEN,
            N_("The association’s card ran out on {time}: nobody can send it anything."),
            N_("Look at the connection to the directory; or renew it: cordee node keys rotate --sealing"),
            ExitCode.REFUSED,
        ),
        Ailment(
            "card_soon",
            _SOON,
            N_("The association’s card runs out on {time} and was not renewed."),
            N_("Look at the connection to the directory; the node tries again each hour."),
        ),
        Ailment(
            "outbox_stuck",
            _SOON,
            N_("{count} messages wait to be handed over, the oldest since {time} ({reason})."),
            N_("They go by themselves once the reason is gone; docs/errors.md says what it means."),
        ),
        Ailment(
            "restore_unfinished",
            _SOON,
            N_("The node was restored from a backup, and the network has not heard of it yet: nothing is sent."),
            N_("Look at the connection to the directory; it goes on by itself."),
        ),
        # ---- what people look after ----
        Ailment(
            "no_recent_backup",
            _SOON,
            N_("The last backup is of {time}."),
            N_("Make one now, and then each week: cordee node backup."),
        ),
        Ailment(
            "no_backup",
            _SOON,
            N_("No backup was ever made."),
            N_("Make one now, and then each week: cordee node backup."),
        ),
        Ailment(
            "kit_missing",
            _SOON,
            N_("Fewer than two people can bring this node back: there is no recovery kit that was tried."),
            N_("cordee node recovery-kit"),
        ),
        Ailment(
            "kit_due",
            _SOON,
            N_("The recovery kit was not tried for a year."),
            N_("cordee node recovery-kit --rehearse"),
        ),
        Ailment(
            "journal_unsigned",
            _SOON,
            N_("The journal has not been signed for hours."),
            N_("Look at the node’s log for upkeep.failed, then start the node again."),
        ),
        Ailment(
            "mail_fails",
            _SOON,
            N_("E-mails that tell people that something waits cannot be sent ({reason})."),
            N_("Look at the settings CORDEE_NODE_MAIL_…, and at the mail server."),
        ),
    ]
)
