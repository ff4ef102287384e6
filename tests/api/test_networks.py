"""Every network trains, is stopped, goes on, is loaded, evaluates, scores and writes."""

import itertools
import math

import pytest
import torch

import charlm
from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.training import Step, prepare_run, resume_run

CPU = torch.device("cpu")
LEVELS = ["char", "word", "byte", "bpe"]
DEPTHS = [
    {},
    {"num_layers": 2},
    {"num_layers": 3, "connect": "residual"},
    {"num_layers": 2, "connect": "highway", "transition_depth": 2},
    {"num_layers": 2, "connect": "skip"},
    {"transition_depth": 3},
]
INPUTS = [{}, {"embedding": "one-hot"}]
DIRECTIONS = ["forward", "backward"]
SHORT = {"hidden_size": 8, "batch_size": 4, "bptt": 8, "steps": 6, "valid_every": 2, "dropout": 0.3}


def networks():
    """Cells and depths, all with all; the rest comes by turns, so that all pairs occur."""
    turns = itertools.cycle(itertools.product(DIRECTIONS, INPUTS, LEVELS))
    for cell, depth in itertools.product(CELLS, DEPTHS):
        direction, inputs, level = next(turns)
        yield {"cell": cell, "level": level, "direction": direction, **depth, **inputs}
    for cell, level in itertools.product(("lstm", "gru"), LEVELS):
        yield {"cell": cell, "level": level, "num_layers": 2}
    yield {"cell": "lstm", "mogrifier_steps": 2, "level": "char"}


@pytest.mark.parametrize("network", list(networks()), ids=lambda n: "-".join(map(str, n.values())))
def test_a_network_does_all_that_a_model_does(network, corpus, tmp_path):
    given = {"paths": (str(corpus),), **SHORT, **network}
    if "jordan" in network["cell"] and network.get("num_layers", 1) > 1:
        with pytest.raises(ConfigError, match="feeds the output back, into a single layer"):
            prepare_run(given, tmp_path / "run", CPU)
        return
    if network["cell"] == "jordan" and network.get("transition_depth", 1) > 1:
        with pytest.raises(ConfigError, match="transition_depth has no effect on cell jordan"):
            prepare_run(given, tmp_path / "run", CPU)
        return
    straight = prepare_run(given, tmp_path / "straight", CPU).run
    list(straight.events())
    run = prepare_run(given, tmp_path / "run", CPU).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 3:
            break
    run.save()
    resumed = resume_run(run.folder, CPU).run
    list(resumed.events())

    for name, tensor in straight.learner.tensors().items():
        assert torch.equal(tensor, resumed.learner.tensors()[name])
    lm = charlm.load(run.folder)
    text = corpus.read_text()[:200]
    assert 1 < lm.evaluate(text).perplexity < math.inf
    scores = list(lm.score(text))
    assert sum(score.nats for score in scores) == pytest.approx(lm.evaluate(text).total_nats)
    assert all(math.isfinite(score.nats) for score in scores)
    first, again = (lm.generate("The ", max_new_tokens=5, seed=3) for _ in range(2))
    assert first == again
    greedy = lm.generate("The ", max_new_tokens=5, temperature=0)
    assert greedy == lm.generate("The ", max_new_tokens=5, beam=1)
