"""The one message that ever leaves by e-mail, and the way to the association's own SMTP server.

Its bytes say nothing: the same subject and the same text whatever happened, in the reader's language; only the time,
a random id and the reader's own address differ. The way is encrypted and the server's certificate checked, or nothing
is sent.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cordee.errors import N_, InvalidInput
from cordee.runtime.texts import text

if TYPE_CHECKING:
    import smtplib

__all__ = ["LONGEST_ADDRESS", "REASONS", "MailFailed", "Server", "checked_address", "deliver", "message"]

LONGEST_ADDRESS = 254  # RFC 5321, §4.5.3.1.3
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_SECONDS = 20.0
_WAYS = ("starttls", "tls")

_SUBJECT: Final = N_("Notes")
_TEXT: Final = N_(
    "Something waits for you in your pages. Open them as you always do.\n"
    "\n"
    "This message is always the same and says no more. It never holds a link:\n"
    "follow none that comes in its name.\n"
)

REASONS: Final = {
    "Unreachable": N_("The mail server does not answer: check its name and port, and the firewall in between."),
    "NoEncryption": N_("The mail server offers no encryption (STARTTLS): nothing is sent without it."),
    "Certificate": N_(
        "The mail server’s certificate is not valid for its name, or nobody known has signed it: nothing is sent."
    ),
    "Credentials": N_("The mail server does not accept the user and the password."),
    "SenderRefused": N_("The mail server does not let us send under the sender’s address."),
    "AddressRefused": N_("The mail server does not take mail for one of the addresses: its owner should check it."),
    "Refused": N_("The mail server refused the message."),
}
"""Why a message did not leave → in words for the administrator."""


class MailFailed(Exception):
    """A message did not leave; `reason` is one of `REASONS`. It holds nothing of what the server said: that may name
    somebody.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Server:
    """The association's SMTP server, as the node's settings name it."""

    host: str
    port: int
    sender: str
    way: str = "starttls"  # or "tls", from the first byte
    user: str = ""
    password: str = field(default="", repr=False)
    authority: Path | None = None  # PEM of who signs its certificate, where the system does not know them

    def require_sound(self) -> None:
        """Raises InvalidInput."""
        if not self.host or not 0 < self.port < 65_536:
            raise InvalidInput(field="mail-host", problem=N_("a server’s name and its port are needed"))
        if self.way not in _WAYS:
            raise InvalidInput(
                field="mail-security", problem=N_("it must be one of {options}"), options=", ".join(_WAYS)
            )
        checked_address(self.sender, field="mail-from")
        if bool(self.user) != bool(self.password):
            raise InvalidInput(field="mail-user", problem=N_("user and password go together"))
        if self.authority is not None:
            try:
                self.context()
            except (OSError, ssl.SSLError) as unreadable:
                raise InvalidInput(field="mail-ca", problem=N_("it cannot be read")) from unreadable

    def context(self) -> ssl.SSLContext:
        """Checks certificate and name; nothing older than TLS 1.2."""
        context = ssl.create_default_context(cafile=None if self.authority is None else str(self.authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def checked_address(told: str, *, field: str = N_("address")) -> str:
    """An address that can stand in a header and in an envelope. Raises InvalidInput, without the address."""
    address = told.strip()
    if len(address) > LONGEST_ADDRESS or _ADDRESS.fullmatch(address) is None:
        raise InvalidInput(field=field, problem=N_("it must be an e-mail address, such as name@example.org"))
    return address


def message(server: Server, address: str, language: str, *, now: datetime, random: Callable[[int], bytes]) -> bytes:
    """The message: `now` is when it leaves; the id is chance and nothing else."""
    # Read where they are used: a node that tells nobody by e-mail keeps their memory.
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import format_datetime

    made = EmailMessage(policy=SMTP)
    made["From"] = server.sender
    made["To"] = address
    made["Subject"] = text(_SUBJECT, language)
    made["Date"] = format_datetime(now.replace(microsecond=0))
    made["Message-ID"] = f"<{random(16).hex()}@{server.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text(_TEXT, language), charset="utf-8", cte="quoted-printable")
    return made.as_bytes()


def deliver(server: Server, address: str, data: bytes) -> None:
    """Hand one message to the server; blocks, so call it in a thread. Raises MailFailed."""
    import smtplib

    context = server.context()
    try:
        with _connected(server, context) as smtp:
            if server.way == "starttls":
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.sendmail(server.sender, [address], data)
    except ssl.SSLError as failed:
        raise MailFailed("Certificate") from failed
    except smtplib.SMTPNotSupportedError as failed:
        raise MailFailed("NoEncryption" if server.way == "starttls" else "Credentials") from failed
    except smtplib.SMTPAuthenticationError as failed:
        raise MailFailed("Credentials") from failed
    except smtplib.SMTPSenderRefused as failed:
        raise MailFailed("SenderRefused") from failed
    except smtplib.SMTPRecipientsRefused as failed:
        raise MailFailed("AddressRefused") from failed
    except (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected) as failed:
        raise MailFailed("Unreachable") from failed
    except smtplib.SMTPException as failed:
        raise MailFailed("Refused") from failed
    except OSError as failed:
        raise MailFailed("Unreachable") from failed


def _connected(server: Server, context: ssl.SSLContext) -> contextlib.AbstractContextManager[smtplib.SMTP]:
    import smtplib

    # The name in EHLO is nobody's: a server's log need not tell which machine the node is.
    if server.way == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, local_hostname="localhost", timeout=_SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, local_hostname="localhost", timeout=_SECONDS)
