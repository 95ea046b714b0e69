"""After the story: the stage stays up, and whoever is at the terminal looks at the pages themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from node.demo.stage import ADMINISTRATOR, HANDLER, Stage
from node.demo.telling import Teller

__all__ = ["stay_up"]


def stay_up(stage: Stage, teller: Teller, translate: Callable[[str], str], lines: Iterable[str]) -> None:
    """Tell the addresses and the practice accounts, then a fresh code for each of them at every line that is typed.

    Ends with the lines (Ctrl-D), or with Ctrl-C.
    """
    _ = translate
    for house in stage.houses.values():
        teller.say(f"{house.title} : {house.pages}")
    teller.say(
        _("Practice accounts: {handler} (handler and lead), {administrator} (administrator); password: {word}").format(
            handler=HANDLER, administrator=ADMINISTRATOR, word=stage.password.read_text(encoding="utf-8").strip()
        )
    )
    teller.say(_("Enter gives codes to sign in with; each works once. Ctrl-C ends everything."))
    try:
        _tell_codes(stage, teller)
        for _line in lines:
            _tell_codes(stage, teller)
    except KeyboardInterrupt:
        return


def _tell_codes(stage: Stage, teller: Teller) -> None:
    for house in stage.houses.values():
        teller.say(f"{house.title} : {HANDLER} {house.code(HANDLER)}, {ADMINISTRATOR} {house.code(ADMINISTRATOR)}")
