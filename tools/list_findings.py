"""Write docs/operations.md and docs/fr/exploitation.md: what the doctors find, and what is measured.

The words come from the code; what stands around them is here.
"""

# ruff: noqa: E501 - tables of Markdown
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from cordee.runtime.checkup import COMMON
from cordee.runtime.doctor import Ailment, Severity
from cordee.runtime.metrics import Metrics
from cordee.runtime.texts import text
from directory.findings import DIRECTORY
from directory.measures import DirectoryMeasures
from node.findings import NODE
from node.measures import NodeMeasures

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"en": ROOT / "docs" / "operations.md", "fr": ROOT / "docs" / "fr" / "exploitation.md"}

_TEXTS = {
    "en": {
        "severity": {Severity.BROKEN: "broken", Severity.SOON: "soon", Severity.ADVICE: "advice"},
        "head": """# Running a node and a directory

<!-- Written by tools/list_findings.py from the code; change that, then run it. -->

## Ask what is wrong

```sh
cordee node doctor
cordee directory doctor --data-dir directory
```

Both say in words what is wrong and what to do, change nothing, and work whether the server runs or not. With
`--output json` they give `finding`, `severity`, `message`, `remedy` and `facts`. The exit code is 0 unless something is
*broken*: then it is that of the first broken thing ([errors.md](errors.md)). A node that runs is asked over its socket. A
directory that runs is asked where it is told on which port, `--metrics-port 9465`: only then are its clock, its certificate
and its parts looked at.

## Watch it

`cordee node serve --status 127.0.0.1:9464` (`CORDEE_NODE_STATUS`) and `cordee directory serve --metrics-port 9465` answer
four addresses over HTTP, on this machine alone. Both are off unless asked for.

| address | what it says |
| --- | --- |
| `/healthz` | 200 while every part of the program runs; 503 when one has ended: start it again |
| `/readyz` | 200, or 503 with the codes of what is broken, as JSON; `not_examined` where not even that can be found out |
| `/findings` | all that is wrong, with its facts, as JSON: for the doctor |
| `/metrics` | numbers for Prometheus; no label names a person, a case or a member. What is read from the database stays as it was while that cannot be read |

Freed memory is overwritten where the server is started with the two variables that [secrets.md](secrets.md) names.
Of backups only those are known that `cordee node backup` and `cordee directory backup` made. The reasons by which refusals
are counted are those of [errors.md](errors.md). gRPC tells nobody that it refused a handshake: what is counted for
`members`, `front` and `mailbox` is who came and went without a call, a second later; at the `pages` it is the handshake itself.
""",
        "columns": "| finding | | what is wrong | what to do |",
        "common": "## What either may find",
        "node": "## What a node may find",
        "directory": "## What a directory may find",
        "metrics": "## What is measured",
        "metric": "| name | labels | what it counts |",
    },
    "fr": {
        "severity": {Severity.BROKEN: "en panne", Severity.SOON: "bientôt", Severity.ADVICE: "conseil"},
        "head": """# Faire tourner un nœud et un annuaire

<!-- Écrit par tools/list_findings.py à partir du code ; changez le code, puis lancez-le. -->

## Demander ce qui ne va pas

```sh
cordee node doctor
cordee directory doctor --data-dir directory
```

Les deux disent en mots ce qui ne va pas et que faire, ne changent rien, et marchent que le serveur tourne ou non. Avec
`--output json`, ils donnent `finding`, `severity`, `message`, `remedy` et `facts`. Le code de sortie est 0 sauf si quelque
chose est *en panne* : c’est alors celui de la première panne ([errors.md](../errors.md)). Un nœud qui
tourne est interrogé par sa socket. Un annuaire qui tourne l’est si le port est indiqué, `--metrics-port 9465` : son
horloge, son certificat et ses parties ne sont regardés qu’ainsi.

## Surveiller

`cordee node serve --status 127.0.0.1:9464` (`CORDEE_NODE_STATUS`) et `cordee directory serve --metrics-port 9465` répondent
à quatre adresses en HTTP, sur cette machine seulement. Rien de cela n’est ouvert sans qu’on le demande.

| adresse | ce qu’elle dit |
| --- | --- |
| `/healthz` | 200 tant que tout le programme tourne ; 503 quand une partie s’est arrêtée : relancez-le |
| `/readyz` | 200, ou 503 avec les codes de ce qui est en panne, en JSON ; `not_examined` si même cela ne peut être constaté |
| `/findings` | tout ce qui ne va pas, avec les faits, en JSON : pour le diagnostic |
| `/metrics` | des nombres pour Prometheus ; aucune étiquette ne nomme une personne, un dossier ou un membre. Ce qui se lit dans la base reste tel quel tant qu’elle est illisible |

La mémoire rendue est effacée là où le serveur est lancé avec les deux variables de [secrets.md](../secrets.md).
Seules sont connues les sauvegardes faites par `cordee node backup` et `cordee directory backup`. Les raisons selon lesquelles
les refus sont comptés sont celles de [errors.md](../errors.md). gRPC ne dit à personne qu’il a refusé une poignée de main TLS :
pour `members`, `front` et `mailbox`, est compté qui est venu et reparti sans un appel, une seconde plus tard ; aux `pages`,
c’est la poignée de main elle-même.
""",
        "columns": "| constat | | ce qui ne va pas | que faire |",
        "common": "## Ce que les deux peuvent constater",
        "node": "## Ce qu’un nœud peut constater",
        "directory": "## Ce qu’un annuaire peut constater",
        "metrics": "## Ce qui est mesuré",
        "metric": "| nom | étiquettes | ce qu’il compte (en anglais, comme dans /metrics) |",
    },
}


def metrics() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Name, labels and text of each metric of a node, then of a directory; each once."""
    nobody: Any = None
    node, directory = NodeMeasures(nobody), Metrics(CollectorRegistry(), version="-")
    DirectoryMeasures(nobody, directory)
    seen = set()
    for registry in (node.registry, directory.registry):
        for collector in list(registry._collector_to_names):  # the library has no other list
            made: Any = collector
            for each in made.describe():
                if each.name not in seen:
                    seen.add(each.name)
                    yield each.name, tuple(made._labelnames), each.documentation


def page(language: str) -> str:
    """The whole page."""
    told: Any = _TEXTS[language]
    common = {each.code for each in COMMON}
    parts = [told["head"]]
    for title, ailments in (
        ("common", list(COMMON)),
        ("node", [each for each in NODE.by_code.values() if each.code not in common]),
        ("directory", [each for each in DIRECTORY.by_code.values() if each.code not in common]),
    ):
        rows = [_row(each, language, told["severity"][each.severity]) for each in ailments]
        parts.append("\n".join([told[title], "", told["columns"], "| --- | --- | --- | --- |", *rows, ""]))
    rows = [f"| `{name}` | {' '.join(f'`{each}`' for each in labels)} | {words} |" for name, labels, words in metrics()]
    parts.append("\n".join([told["metrics"], "", told["metric"], "| --- | --- | --- |", *rows, ""]))
    return "\n".join(parts)


def _row(ailment: Ailment, language: str, severity: str) -> str:
    words, remedy = (text(each, language).replace("|", "\\|") for each in (ailment.words, ailment.remedy))
    return f"| `{ailment.code}` | {severity} | {words} | {remedy} |"


def main() -> None:
    """Write both."""
    for language, path in PAGES.items():
        path.write_text(page(language), encoding="utf-8")


if __name__ == "__main__":
    main()
