"""Every kind of evidence is told in whole sentences, in both languages, with what it does not show."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from cordee.errors import EvidenceInconclusive, ExitCode, IntegrityFailure, ProofRefused
from cordee.evidence import Finding, Sort, judge_journal, judge_transfer, judge_views
from cordee.ids import NetworkId
from cordee.runtime.texts import text
from cordee.transfer import State
from tests.cordee.test_journal_file import a_journal
from tests.cordee.test_proof import OUTCOMES, a_story, exported
from tests.cordee.test_views import a_network, bare, claiming, file_of, forged_by, other_of, shown_of, view
from tests.transfers import Story


def told(found: Finding, language: str) -> list[str]:
    return [text(each.message, language).format(**each.facts) for each in (*found.shows, *found.shows_not)]


def is_told(found: Finding) -> list[str]:
    english = told(found, "en")
    for sentences in (english, told(found, "fr")):
        assert len(sentences) >= 2
        assert all(sentence[-1] in ".;" and "{" not in sentence for sentence in sentences)
    assert english != told(found, "fr")
    return english


@pytest.mark.parametrize(("steps", "outcome", "erased"), OUTCOMES)
def test_every_outcome_of_a_transfer_is_told(
    steps: Callable[[Story], Story], outcome: State, erased: bool | None
) -> None:
    story = steps(a_story())
    found = judge_transfer(exported(story), network=story.network.roster.network)
    assert found.sort is (Sort.TRANSFER if erased is None else Sort.ERASURE)
    assert found.facts["outcome"] == outcome
    sentences = is_told(found)
    assert any("erased what it received" in each for each in sentences) is (erased is True)
    assert any("keeps what it received" in each for each in sentences) is (erased is False)


def test_an_erasure_is_told_with_its_own_time() -> None:
    story = a_story().offer().accept().ship().receive().withdraw().erase()
    (time,) = (each.facts["time"] for each in judged(story).shows if "time" in each.facts)
    assert time == f"{story.erased.time:%Y-%m-%d %H:%M:%S} UTC"


def judged(story: Story) -> Finding:
    return judge_transfer(exported(story), network=story.network.roster.network)


def test_every_verdict_about_rosters_is_told() -> None:
    network = a_network()
    other = other_of(network, "Nulle part", drop=1)
    story, signed = claiming(network, bytes(32))
    for verdict, file in {
        "fork": file_of(view(network), bare(other)),
        "rollback": file_of(view(network), bare(network, size=2, minutes=1)),
        "split_view": file_of(view(network, members=[story.sender]), statements=[signed]),
        "agree": file_of(view(network)),
        "forged": file_of(shown_of(forged_by(network))),
    }.items():
        found = judge_views([file], network=network.roster.network)
        assert found.facts["verdict"] == verdict
        is_told(found)


def test_two_keys_of_the_directory_are_told_apart() -> None:
    network = a_network()
    fork = other_of(network, "Nulle part", "Ailleurs")
    network.rotate_directory_key()
    found = judge_views([file_of(view(network), view(fork))], network=network.roster.network)
    assert any("different keys" in each for each in is_told(found))


def test_what_shows_nothing_is_no_evidence() -> None:
    network = a_network()
    unknown = file_of(view(network), bare(other_of(network, "Nulle part", "Ailleurs", drop=1)))
    with pytest.raises(EvidenceInconclusive) as inconclusive:
        judge_views([unknown], network=network.roster.network)
    assert inconclusive.value.exit_code == ExitCode.INTEGRITY


def test_a_journal_is_told() -> None:
    journal = a_journal().add().sign()
    lines = journal.file().splitlines(keepends=True)
    is_told(judge_journal(lines, network=journal.network.roster.network))


def test_whatever_is_wrong_it_is_one_thing_to_who_asks() -> None:
    other = NetworkId(bytes(32))
    story = a_story().offer()
    for refused in (
        lambda: judge_transfer(exported(story), network=other),
        lambda: judge_views([file_of(view(a_network()))], network=other),
        lambda: judge_journal(a_journal().add().sign().file().splitlines(keepends=True), network=other),
    ):
        with pytest.raises(ProofRefused, match="another network"):
            refused()
    for refused in (
        lambda: judge_transfer(b"nothing", network=other),
        lambda: judge_views([b"nothing"], network=other),
        lambda: judge_journal([b"nothing"], network=other),
    ):
        with pytest.raises(IntegrityFailure):
            refused()


def the_kinds() -> dict[str, tuple[bytes, Callable[[bytes], Finding]]]:
    """One file of each kind that the other modules do not flip bits of, and how it is judged."""
    receipt = a_story().offer().accept().ship().receive().withdraw().erase()
    back = a_story().offer().accept().ship().receive().give_back()
    network = a_network()
    story, signed = claiming(network, bytes(32))
    rotated = a_network()
    rotated.rotate_directory_key()
    of = network.roster.network
    return {
        "an erasure receipt": (
            exported(receipt),
            lambda data: judge_transfer(data, network=receipt.network.roster.network),
        ),
        "a return": (exported(back), lambda data: judge_transfer(data, network=back.network.roster.network)),
        "a rollback": (
            file_of(view(network), bare(network, size=2, minutes=1)),
            lambda data: judge_views([data], network=of),
        ),
        "a split view": (
            file_of(view(network, members=[story.sender]), statements=[signed]),
            lambda data: judge_views([data], network=of),
        ),
        "a view": (file_of(view(rotated)), lambda data: judge_views([data], network=rotated.roster.network)),
    }


@pytest.mark.parametrize("kind", ["an erasure receipt", "a return", "a rollback", "a split view", "a view"])
def test_any_bit_flipped_is_refused_with_a_reason(kind: str) -> None:
    data, judge = the_kinds()[kind]
    judge(data)
    draw = random.Random(kind)
    for place in [*range(32), *draw.sample(range(len(data)), 200), *range(len(data) - 32, len(data))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << draw.randrange(8)
        with pytest.raises(IntegrityFailure):
            judge(bytes(damaged))
    for cut in (0, 1, len(data) // 3, len(data) - 1):
        with pytest.raises(IntegrityFailure):
            judge(data[:cut])
