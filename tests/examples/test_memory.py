"""The example trains, asks, prints a row for each cell and plots; and it asks the right thing."""

import importlib.util
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from charlm.data import exercises

SCRIPT = Path(__file__).parents[2] / "examples" / "memory.py"


@pytest.fixture
def memory(monkeypatch):
    spec = importlib.util.spec_from_file_location("memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"GAPS": (0, 2), "LINES": 300, "TESTED": 20}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_it_prints_and_plots(memory, monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "memory.png"
    arguments = ["cook", "copying", "--cells", "rnn,gru", "--hidden-size", "8", "--steps", "3"]
    monkeypatch.setattr(sys, "argv", ["memory.py", *arguments, "--plot", str(picture)])

    memory.main()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| exercise | cell | gap 0 | gap 2 |"
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| cook", "rnn"],
        ["| cook", "gru"],
        ["| copying", "rnn"],
        ["| copying", "gru"],
    ]
    assert all(
        0 <= int(cell.strip(" |%")) <= 100 for line in lines[2:] for cell in line.split(" | ")[2:]
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


class Oracle:
    """A model that knows every answer, or none, whatever else it expects more."""

    def __init__(self, tokenizer, knows):
        self.tokenizer, self.model, self.knows = tokenizer, self, knows

    def initial_state(self, batch_size):
        return ()

    def __call__(self, tokens, state):
        following = torch.cat([tokens[0, 1:], tokens[0, :1]])
        logits = torch.zeros(1, tokens.shape[1], self.tokenizer.vocab_size)
        logits[0, torch.arange(len(following)), following] = 1.0 if self.knows else -1.0
        logits[..., self.tokenizer.encode("=")[0]] = 9.0  # no answer
        return logits, state


@pytest.mark.parametrize(("knows", "share"), [(True, 1.0), (False, 0.0)])
def test_an_answer_is_right_if_it_is_likelier_than_any_other(memory, knows, share):
    from charlm.text import TextConfig, build_tokenizer

    tested = list(islice(exercises("copying", seed=1, gap=(0, 3)), 30))
    tokenizer = build_tokenizer(TextConfig(), [exercise.text for exercise in tested])

    assert memory.accuracy(Oracle(tokenizer, knows), tested) == share
