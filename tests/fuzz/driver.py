"""Some targets under atheris, one after the other: `python -m tests.fuzz.driver SECONDS SEED TARGET…`.

What is fuzzed is instrumented once, which takes longest; each target then has a process of its own, forked from that.
What it says goes to build/fuzz/TARGET/said.
"""

from __future__ import annotations

import os
import sys

import atheris

from tests.fuzz.places import BUILD, HERE

with atheris.instrument_imports(include=["cordee", "node"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz each until its time is over or something was found."""
    seconds, seed, *names = sys.argv[1:]
    for name in names:
        child = os.fork()
        if not child:
            _fuzz(name, seconds, seed)
        os.waitpid(child, 0)


def _fuzz(name: str, seconds: str, seed: str) -> None:
    target, folder = TARGETS[name], BUILD / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(said, 1)
    os.dup2(said, 2)
    for seed_name, data in target.seeds().items():
        (corpus / seed_name.replace(" ", "-")).write_bytes(data)
    kept = [str(each) for each in (HERE / "corpus" / name, HERE / "found" / name) if each.is_dir()]
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", f"-seed={seed}", "-print_final_stats=1"]
    # An input of a few kilobytes that takes ten seconds or a gigabyte stops a node: that is a find too.
    options += ["-timeout=10", "-rss_limit_mb=1024", f"-max_len={target.longest}"]

    def one_input(data: bytes) -> None:
        target.take(data)

    atheris.Setup([sys.argv[0], str(corpus), *kept, *options], one_input)
    atheris.Fuzz()
    os._exit(0)


if __name__ == "__main__":
    main()
