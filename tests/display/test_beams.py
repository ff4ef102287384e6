"""A beam search, painted: every candidate of every step, and what was found."""

import math
import re

import pytest
import torch

from charlm.api import Writer
from charlm.decoding import DecodingConfig
from charlm.display.beams import FINISHED, GROWS, PRUNED, show_beams
from charlm.model import LanguageModel, ModelConfig
from charlm.text import TextConfig, build_tokenizer

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
ROW = re.compile(r"^\s*(\d*)(?:, group (\d))?\s+(-?[\d.]+)\s+(-?[\d.]+)\s+([●■·])\s+(.*?)\s*$")


@pytest.fixture
def writer():
    """A function from settings to what writes with a small untrained model of `text`."""

    def build(text="abc \n", level="char", stop=0.0, **settings):
        tokenizer = build_tokenizer(TextConfig(level=level), [text, text])
        torch.manual_seed(3)
        sizes = {"vocab_size": tokenizer.vocab_size, "embedding_size": 8, "hidden_size": 8}
        model = LanguageModel(ModelConfig(**sizes)).eval()
        with torch.no_grad():
            model.body.embedding.weight.normal_(0, 2)
            model.head.projection.bias[tokenizer.stop_id] = stop
        return Writer(model, tokenizer, DecodingConfig(**settings))

    return build


@pytest.fixture
def show(capsys):
    """Show a search; the rows of its steps (token, group, log P, score, mark, text), and all."""

    def run(writer, prompt=""):
        show_beams(writer, prompt)
        out = capsys.readouterr().out
        steps, _, _ = out.partition("grows")
        return [m.groups() for line in steps.splitlines() if (m := ROW.match(line))], out

    return run


def by_step(rows):
    """The rows of each step by themselves."""
    steps = []
    for row in rows:
        if row[0]:
            steps.append([])
        steps[-1].append(row)
    return steps


@pytest.mark.parametrize("stop", [-50.0, 1.0, 4.0])
def test_every_candidate_of_every_step_is_shown(writer, show, stop):
    search = writer(beam=3, max_new_tokens=5, stop=stop)

    rows, _ = show(search)

    wanted = [
        (f"{node.log_prob:.3f}", f"{node.score:.3f}")
        for step in search.beam_steps("")
        for node in step.candidates
    ]
    assert [(log_prob, score) for _, _, log_prob, score, _, _ in rows] == wanted
    lengths = [step.length for step in search.beam_steps("")]
    assert [int(row[0]) for row in rows if row[0]] == lengths


@pytest.mark.parametrize("stop", [-50.0, 1.0, 4.0])
def test_marks_tell_what_grew_and_what_was_finished(writer, show, stop):
    search = writer(beam=3, max_new_tokens=5, stop=stop)

    rows, _ = show(search)

    for shown, step in zip(by_step(rows), search.beam_steps(""), strict=True):
        finished = {node.path() for node in step.finished}
        growing = set() if step.done else {node.path() for node in step.growing}
        for row, node in zip(shown, step.candidates, strict=True):
            wanted = (
                GROWS if node.path() in growing else FINISHED if node.path() in finished else PRUNED
            )
            assert row[4] == wanted


def test_the_last_step_marks_as_found_what_is_found_and_nothing_as_growing(writer, show):
    rows, out = show(writer("abc", beam=3, max_new_tokens=4, stop=-50.0))

    last = by_step(rows)[-1]
    assert [row[4] for row in last] == [FINISHED] * 3 + [PRUNED] * 3
    found = out.partition("found, best first")[2]
    assert all(row[5].replace("␣", " ").strip() in found for row in last[:3])


def test_a_text_that_ends_shows_that_it_does(writer, show):
    rows, _ = show(writer(beam=2, max_new_tokens=4, stop=3.0), "ab")

    ended = [row for row in rows if row[5].endswith("<stop>")]
    assert ended and all(row[4] in (FINISHED, PRUNED) for row in ended)
    assert any(row[4] == FINISHED for row in ended)
    assert all(row[5].startswith("ab") for row in rows)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_what_was_found_is_shown_best_first(writer, show, penalty):
    settings = {"beam": 3, "max_new_tokens": 4, "num_return_sequences": 3}
    search = writer("abc", length_penalty=penalty, **settings)

    _, out = show(search, "a")

    found = search.search("a", 0)
    lines = out.partition("found, best first")[2].splitlines()[2:]
    figures = [line.split()[:3] for line in lines if line.split()]
    assert figures == [[str(len(g.tokens)), f"{g.log_prob:.3f}", f"{g.score:.3f}"] for g in found]
    assert math.isclose(found[0].score, max(g.score for g in found))


def test_groups_are_told_apart(writer, show):
    search = writer(beam=4, num_beam_groups=2, diversity_penalty=1.0, max_new_tokens=3, stop=-9.0)

    rows, out = show(search)

    assert [(row[0], row[1]) for row in rows if row[0]] == [
        (str(length), str(group)) for length in (1, 2, 3) for group in (1, 2)
    ]
    assert len([line for line in out.partition("found")[2].splitlines()[2:] if line.strip()]) >= 4


def test_what_a_group_is_shown_to_choose_is_what_it_had_to_choose_from(writer, show):
    search = writer(beam=4, num_beam_groups=2, diversity_penalty=3.0, max_new_tokens=3, stop=-9.0)

    rows, _ = show(search)

    steps = list(search.beam_steps(""))
    assert [len(shown) for shown in by_step(rows)] == [len(step.candidates) for step in steps]


def test_marks_are_readable_without_colour_and_the_legend_explains_them(writer, show):
    rows, out = show(writer(beam=2, max_new_tokens=3, stop=2.0))

    assert "\x1b" not in out
    assert {row[4] for row in rows} == {GROWS, FINISHED, PRUNED}
    assert f"{GROWS} grows" in out and f"{FINISHED} finished" in out and f"{PRUNED} pruned" in out
    assert "score = log P / length" in out


def coloured(monkeypatch, columns):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))


def test_on_a_terminal_what_is_pruned_is_dim_and_the_last_token_underlined(
    writer, show, monkeypatch
):
    coloured(monkeypatch, 100)

    _, out = show(writer(beam=2, max_new_tokens=3, stop=2.0), "ab")

    rows = [
        line for line in out.partition("grows")[0].splitlines() if ROW.match(ESCAPE.sub("", line))
    ]
    assert {ROW.match(ESCAPE.sub("", line))[5] for line in rows} == {GROWS, FINISHED, PRUNED}
    for line in rows:
        mark = ROW.match(ESCAPE.sub("", line))[5]
        codes = {code for part in re.findall(r"\x1b\[([0-9;]*)m", line) for code in part.split(";")}
        assert ("2" in codes) == (mark == PRUNED)
        assert ("1" in codes) == (mark != PRUNED)
        assert "4" in codes


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_figures_stay_whole_however_narrow_the_terminal_is(writer, show, monkeypatch, columns):
    coloured(monkeypatch, columns)

    _, out = show(writer(beam=2, max_new_tokens=2, stop=-9.0), "abc " * 40)

    lines = [ESCAPE.sub("", line) for line in out.splitlines()]
    rows = [match.groups() for line in lines if (match := ROW.match(line))]
    assert all(len(line) <= columns for line in lines if GROWS not in line[:2])
    assert len(rows) == 8
    assert all(re.fullmatch(r"-\d+\.\d{3}", figure) for row in rows for figure in row[2:4])
    assert all(row[5].startswith("…") for row in rows)


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\x9b", "\x00"])
def test_control_characters_never_reach_the_terminal(writer, show, character):
    _, out = show(writer(f"ab{character}", beam=2, max_new_tokens=2), f"a{character}[31m")

    assert character not in out
    assert character.encode("unicode_escape").decode() in out


def test_what_looks_like_markup_is_text(writer, show):
    _, out = show(writer("[bold]/", beam=2, max_new_tokens=2), "[bold]")

    assert "[bold]" in out


def test_words_are_shown_with_their_spaces(writer, show):
    rows, out = show(writer("the fox", "word", beam=2, max_new_tokens=2, stop=-50.0), "the fox")

    going = [row[5] for row in rows if not row[5].endswith("<stop>")]
    assert going and all(text.startswith("the␣fox␣") for text in going)
    assert "the fox the" in out.partition("found")[2] or "the fox fox" in out.partition("found")[2]


def test_bytes_that_are_no_text_are_shown_as_bytes(writer, show):
    rows, _ = show(writer("ab", "byte", beam=2, max_new_tokens=1), "a\udcff")

    assert all(row[5].startswith("a\\xff") for row in rows)
