"""Models that foretell a length write texts of it, and measure texts exactly."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

import charlm
from charlm.api import decoding_config
from charlm.data import make_windows
from charlm.errors import ConfigError
from charlm.training import prepare_run

CPU = torch.device("cpu")
SHORT = {"hidden_size": 32, "batch_size": 4, "bptt": 8, "steps": 200, "valid_every": 100}
SHORT |= {"learning_rate": 0.02, "dropout": 0.0, "stop_by": "length"}
LINES = ["aaa", "bbbbbb", "aaa", "ccccccccc"]  # 3, 6 and 9 long; half of them 3


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lengths")
    text = folder / "lines.txt"
    text.write_text("\n".join(LINES * 60) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        given = {"paths": (str(text),), "frame": "line", "independent_frames": True, **SHORT}
        run = prepare_run(given, folder / "run", CPU).run
        for _ in run.events():
            pass
        yield charlm.load(run.folder, "cpu")


def test_it_has_learnt_the_lengths(lm):
    shares = lm.model.head.length_log_probs(torch.tensor([3, 6, 9])).exp().tolist()

    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.1)


def test_samples_have_lengths_that_were_drawn(lm):
    config = decoding_config({"num_return_sequences": 200, "max_new_tokens": 50})
    found = list(lm.generate_many([""], config, seed=1))

    lengths = Counter(len(each.text) for each in found if each.end == "<stop>")
    assert sum(lengths[n] for n in (3, 6, 9)) >= 190
    assert 70 <= lengths[3] <= 130
    alone = decoding_config({"num_return_sequences": 5, "max_new_tokens": 50})
    assert [e.text for e in lm.generate_many([""], alone, seed=1)] == [e.text for e in found[:5]]


def test_what_is_searched_for_has_the_likeliest_length(lm):
    assert lm.generate(temperature=0) == "aaa"
    assert lm.generate(beam=3) == "aaa"
    assert len(lm.generate("bbbb", temperature=0)) in (6, 9)
    assert len(lm.generate(temperature=0, min_new_tokens=7)) == 9
    assert lm.generate(temperature=0, repetition_penalty=1.5)


def test_texts_are_measured_with_their_lengths(lm):
    texts = ["aaa", "bbbbbb", "cc"]
    together = lm.evaluate("\n".join(texts))
    alone = [lm.evaluate(text) for text in texts]

    assert together.total_nats == pytest.approx(sum(each.total_nats for each in alone), rel=1e-4)
    for text, each in zip(texts, alone, strict=True):
        ids = lm.tokenizer.encode(text)
        state, nats = lm.model.eval().initial_state(1), 0.0
        inputs = [lm.tokenizer.vocab_size + len(ids), *ids]
        with torch.no_grad():
            for token, after in zip(inputs, [*ids, None], strict=True):
                logits, state = lm.model.step(torch.tensor([token]), state)
                if after is not None:
                    nats -= float(logits[0].log_softmax(-1)[after])
        nats -= float(lm.model.head.length_log_probs(torch.tensor(len(ids))).detach())
        assert each.total_nats == pytest.approx(nats, rel=1e-4)
        assert lm.log_probs([text, "a"])[0] == pytest.approx(-nats, rel=1e-4)
    scores = list(lm.score("\n".join(texts)))
    assert sum(s.nats for s in scores) == pytest.approx(together.total_nats, rel=1e-6)
    assert lm.evaluate("aaa\nbbbbbb").perplexity < 2


def test_the_alternatives_of_a_sample_are_those_under_its_own_length(lm):
    config = decoding_config({"num_return_sequences": 20, "max_new_tokens": 50})
    for each in lm.generate_many([""], config, seed=1, alternatives=2):
        assert each.start == lm.tokenizer.vocab_size + len(each.text)
        assert all(choice.log_prob > -50 for choice in each.choices)
        assert each.choices[-1].log_prob == pytest.approx(0, abs=1e-6)  # <stop>, as foretold


def test_lengths_are_foretold_up_to_a_limit(lm):
    for settings in ({"temperature": 0}, {"seed": 1}):
        with pytest.raises(ConfigError, match="lengths are foretold below 65,536 tokens"):
            lm.generate(min_new_tokens=70_000, max_new_tokens=70_001, **settings)


def test_what_is_told_is_not_forgotten(lm, tmp_path):
    given = {"paths": lm.checkpoint.config.corpus.paths, "frame": "line", **SHORT}
    given |= {"independent_frames": True}

    run = prepare_run({**given, "mogrifier_steps": 2, "steps": 1}, tmp_path / "mogrifier", CPU).run
    assert run.learner.config.state_reset == 0
    with pytest.raises(ConfigError, match="must not be forgotten; leave out --state-reset"):
        prepare_run({**given, "state_reset": 0.1}, tmp_path / "run", CPU)


def test_it_goes_with_labels_words_and_both_directions(tmp_path, tale):
    lines = [line for line in tale.splitlines() if line]
    text = tmp_path / "lines.tsv"
    text.write_text("".join(f"{'ab'[i % 2]}\t{line}\n" for i, line in enumerate(lines)))
    given = {"paths": (str(text),), "label": "both", "level": "word", "direction": "both"}
    run = prepare_run({**given, **SHORT, "steps": 10}, tmp_path / "run", CPU).run
    for _ in run.events():
        pass
    for _ in charlm.training.create_backward(run.folder, CPU).run.events():
        pass
    lm = charlm.load(run.folder).with_label("a")

    assert math.isfinite(lm.evaluate("The fox ate the moon.").total_nats)
    assert math.isfinite(lm.backward.evaluate("The fox ate the moon.").total_nats)
    assert all(math.isfinite(s.nats) for s in lm.score("The fox ate.", context="both"))
    assert lm.fill("The ___ moon", num_fillings=2, width=3)


@pytest.mark.parametrize("bptt", [2, 3, 100])
def test_windows_tell_the_lengths_of_the_frames_that_begin_in_them(bptt):
    start, stop, base = 5, 6, 8
    frames = [[0, 1, 2], [], [3], [4, 4, 4, 4, 4]]
    tokens = np.array([t for f in frames for t in (start, *f, stop)], dtype=np.uint8)

    plain, told = (
        make_windows(
            tokens,
            batch_size=2,
            bptt=bptt,
            start_id=start,
            independent_frames=True,
            lengths_from=lengths_from,
        )
        for lengths_from in (None, base)
    )

    lengths = []
    for index in range(len(plain)):
        before, after = plain[index], told[index]
        begins = before.inputs[:, 0] == start
        assert (begins == (after.inputs[:, 0] >= base)).all()
        assert (before.targets == after.targets).all() and (before.fresh == after.fresh).all()
        real = begins & (before.targets[:, 0] >= 0)
        lengths += (after.inputs[real, 0] - base).tolist()
    assert sorted(lengths) == [0, 1, 3, 5]


def test_a_length_needs_frames_of_their_own(corpus, tmp_path):
    given = {"paths": (str(corpus),), **SHORT}

    with pytest.raises(ConfigError, match="foretells how long each frame is; add --independent-"):
        prepare_run(given, tmp_path / "run", CPU)


def test_what_a_model_of_lengths_cannot_do(lm):
    for ask, message in (
        (lambda: lm.evaluator(context="stream"), "leave out --context stream"),
        (lambda: lm.evaluator().with_predictor(None), "leave out --mix, --baseline, --dynamic"),
        (lambda: lm.with_cache().evaluate("aaa"), "a cache remembers words, not lengths"),
        (lambda: lm.with_cache().generate(), "a cache remembers words, not lengths"),
    ):
        with pytest.raises(ConfigError, match=message):
            ask()
