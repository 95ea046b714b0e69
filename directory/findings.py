"""What can be wrong with a directory, in words, and what to do about it. docs/operations.md lists the same."""

from __future__ import annotations

from typing import Final

from cordee.errors import N_, ExitCode
from cordee.runtime.checkup import COMMON
from cordee.runtime.doctor import Ailment, Ailments, Severity

__all__ = ["DIRECTORY"]

_BROKEN, _SOON, _ADVICE = Severity

DIRECTORY: Final = Ailments(
    [
        *COMMON,
        Ailment(
            "not_initialised",
            _BROKEN,
            N_("There is no directory in {folder}."),
            N_("Give the right folder (CORDEE_DIRECTORY_DATA_DIR), or make one: cordee directory init."),
            ExitCode.NOT_FOUND,
        ),
        Ailment(
            "file_missing",
            _BROKEN,
            N_("The file {file} is missing; without it the directory cannot serve."),
            N_("Put it back from the newest backup (with its keys); never make a key anew for the same network."),
            ExitCode.NOT_FOUND,
        ),
        Ailment(
            "not_founded",
            _SOON,
            N_("The network is not founded yet."),
            N_("Its administrators found it with founding.json: cordee admin found --help."),
        ),
        Ailment(
            "last_signed_lost",
            _BROKEN,
            N_("The file last-signed is lost: the directory cannot know how long a log it has signed."),
            N_("Bring the log back from an administrator’s copy: cordee directory recover --help."),
            ExitCode.INTEGRITY,
        ),
        Ailment(
            "log_behind",
            _BROKEN,
            N_("The log has {entries} entries, {signed} were signed: the database is an older copy."),
            N_("Let it run: members give back what is missing. Where none can: cordee directory recover."),
            ExitCode.INTEGRITY,
        ),
        Ailment(
            "log_unsigned",
            _BROKEN,
            N_("The log was last signed at {time}; it is signed each hour."),
            N_("Look at the directory’s log for upkeep.failed, and at this machine’s clock (timedatectl)."),
        ),
        Ailment(
            "round_failed",
            _BROKEN,
            N_("The directory’s regular round fails ({reason}): nothing expires and nothing is signed."),
            N_("Mend what the other findings name; the round is tried again every five seconds."),
        ),
        Ailment(
            "no_backup",
            _SOON,
            N_("No backup was ever made."),
            N_("Make one now, and then each week: cordee directory backup."),
        ),
        Ailment(
            "no_recent_backup",
            _SOON,
            N_("The last backup is of {time}."),
            N_("Make one now, and then each week: cordee directory backup."),
        ),
        Ailment(
            "certificate_expired",
            _BROKEN,
            N_("The directory’s certificate ran out on {time}."),
            N_("Start the directory again: it makes itself a new one."),
            ExitCode.REFUSED,
        ),
        Ailment(
            "certificate_soon",
            _SOON,
            N_("The directory’s certificate runs out on {time}."),
            N_("Start the directory again: it makes itself a new one."),
        ),
        Ailment(
            "not_running",
            _BROKEN,
            N_("The directory does not run: nobody listens at {address}."),
            N_("Start it: systemctl start cordee-directory (or cordee directory serve); its log says why it ended."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "not_answering",
            _BROKEN,
            N_("The directory does not tell at {address} how it is."),
            N_("Compare the port with that of “serve --metrics-port”. If it is the same, start the directory again."),
            ExitCode.UNREACHABLE,
        ),
        Ailment(
            "front_closed",
            _BROKEN,
            N_("The directory’s front, for applicants and administrators, does not answer at {address}."),
            N_("Compare the address with --listen-front, and look at the firewall."),
            ExitCode.UNREACHABLE,
        ),
    ]
)
