"""Checkpoints of earlier formats: they load, and give the figures they gave."""

import json
import shutil
from pathlib import Path

import pytest

import charlm
from charlm.errors import CheckpointError, TextError

FIXTURES = Path(__file__).parent / "fixtures"
FIGURES = json.loads((FIXTURES / "format-2.json").read_text())  # of the version that wrote it


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A checkpoint of format 2, in the folder where its corpus is."""
    shutil.copytree(FIXTURES / "format-2", tmp_path / "old")
    shutil.copy(FIXTURES / "harbour.txt", tmp_path)
    monkeypatch.chdir(tmp_path)
    return charlm.load(tmp_path / "old", "cpu")


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_checkpoint_of_format_2_gives_the_same_figures(old, part):
    found = old.evaluate_split(part)

    assert found.num_tokens == FIGURES["num_tokens"][part]
    assert found.total_nats == pytest.approx(FIGURES["total_nats"][part], rel=1e-6)


def test_a_checkpoint_of_format_2_scores_and_writes(old):
    assert old.evaluate("The sea.").num_tokens == 9
    assert len(old.generate("The boat", seed=1, max_new_tokens=12, min_new_tokens=12)) == 20


def test_a_checkpoint_of_format_2_needs_its_corpus(old):
    Path("harbour.txt").write_text("another text")
    with pytest.raises(CheckpointError, match=r"old does not keep its test text: harbour\.txt has"):
        old.evaluate_split("test")

    Path("harbour.txt").unlink()
    with pytest.raises(TextError, match=r"test text: .* harbour\.txt does not exist"):
        old.evaluate_split("test")
