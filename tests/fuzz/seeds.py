"""Write the corpus again: `python -m tests.fuzz.seeds`. Nothing in it is of anybody: all of it is made by the tests."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """A file for each seed of each target."""
    for name, target in TARGETS.items():
        if not target.kept:
            continue
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        for seed, data in target.seeds().items():
            (CORPUS / name / seed.replace(" ", "-")).write_bytes(data)


if __name__ == "__main__":
    main()
