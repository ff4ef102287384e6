"""Every network trains, is stopped, goes on, is loaded, evaluates, scores and writes."""

import itertools
import math

import pytest
import torch

import charlm
from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.training import Step, create_backward, prepare_run, resume_run

CPU = torch.device("cpu")
DEPTHS = [
    {},
    {"num_layers": 2},
    {"num_layers": 3, "connect": "residual"},
    {"num_layers": 2, "connect": "highway", "transition_depth": 2},
    {"num_layers": 2, "connect": "skip"},
    {"transition_depth": 3},
]
BY_TURNS = {
    "level": ["char", "word", "byte", "bpe"],
    "direction": ["forward", "backward", "both"],
    "label": [None, "state", "input", "both"],
    "embedding": ["learned", "one-hot"],
    "stop_by": ["symbol", "halt", "length"],
}
SHORT = {"hidden_size": 8, "batch_size": 4, "bptt": 8, "steps": 6, "valid_every": 2, "dropout": 0.3}


def networks():
    """All cells with all depths; what else there is comes by turns, so that all pairs occur."""
    for number, (cell, depth) in enumerate(itertools.product(CELLS, DEPTHS)):
        yield {"cell": cell, **depth, **turn(number)}
    yield {"cell": "lstm", "mogrifier_steps": 2, "level": "char"}


def turn(number):
    """One value of each setting; each comes to each cell, of which six follow one another."""
    places = {
        "level": number,
        "direction": number,
        "label": number + number // 6,
        "embedding": number // 3 + number // 12,
        "stop_by": number // 2 + number // 24,
    }
    return {name: BY_TURNS[name][place % len(BY_TURNS[name])] for name, place in places.items()}


def test_all_pairs_of_settings_occur():
    found = list(networks())
    for one, other in itertools.combinations(["cell", *BY_TURNS], 2):
        known = {"cell": list(CELLS), **BY_TURNS}
        pairs = {(network.get(one), network.get(other)) for network in found}
        missing = set(itertools.product(known[one], known[other])) - pairs
        assert not missing


@pytest.fixture
def given(request, tale, tmp_path):
    """The settings of a network, with a text of the kind that it needs."""
    network = {k: v for k, v in request.param.items() if v is not None}
    if network.get("stop_by") == "length":
        network |= {"frame": "line", "independent_frames": True}
    if "label" in network:
        lines = [line for line in tale.splitlines() if line]
        text = tmp_path / "lines.tsv"
        text.write_text("".join(f"{'ab'[i % 2]}\t{line}\n" for i, line in enumerate(lines)))
    else:
        text = tmp_path / "tale.txt"
        text.write_text(tale)
    return {"paths": (str(text),), **SHORT, **network}


def refusal(given):
    """Why a network makes no sense, if it does not."""
    if "jordan" in given["cell"] and given.get("num_layers", 1) > 1:
        return "feeds the output back, into a single layer"
    if "jordan" in given["cell"] and given.get("stop_by", "symbol") != "symbol":
        return "feeds all outputs back; use --stop-by symbol"
    if given["cell"] == "jordan" and given.get("transition_depth", 1) > 1:
        return "transition_depth has no effect on cell jordan"
    return None


def finish(run):
    for _ in run.events():
        pass
    return run


@pytest.mark.parametrize(
    "given",
    list(networks()),
    ids=lambda network: "-".join(str(value) for value in network.values() if value is not None),
    indirect=True,
)
def test_a_network_does_all_that_a_model_does(given, tale, tmp_path):
    if (message := refusal(given)) is not None:
        with pytest.raises(ConfigError, match=message):
            prepare_run(given, tmp_path / "run", CPU)
        return
    straight = finish(prepare_run(given, tmp_path / "straight", CPU).run)
    run = prepare_run(given, tmp_path / "run", CPU).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 3:
            break
    run.save()
    resumed = finish(resume_run(run.folder, CPU).run)

    for name, tensor in straight.learner.tensors().items():
        assert torch.equal(tensor, resumed.learner.tensors()[name])
    lm = charlm.load(run.folder)
    if "label" in given:
        lm = lm.with_label("b")
    halves = [lm]
    if given.get("direction") == "both":
        finish(create_backward(run.folder, CPU).run)
        halves = [lm, lm.backward]
        assert len(lm.fill("The ___ end", num_fillings=2, width=3, max_blank_tokens=1)) == 2
        assert all(math.isfinite(score.nats) for score in lm.score(tale[:50], context="both"))
    for half in halves:
        check_model(half, tale[:200])


def check_model(lm, text):
    """It evaluates, scores and writes, the same each time."""
    assert 1 < lm.evaluate(text).perplexity < math.inf
    scores = list(lm.score(text))
    assert sum(score.nats for score in scores) == pytest.approx(lm.evaluate(text).total_nats)
    assert all(math.isfinite(score.nats) for score in scores)
    first, again = (lm.generate("The ", max_new_tokens=5, seed=3) for _ in range(2))
    assert first == again
    greedy = lm.generate("The ", max_new_tokens=5, temperature=0)
    assert greedy == lm.generate("The ", max_new_tokens=5, beam=1)
