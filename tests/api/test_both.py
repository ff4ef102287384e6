"""A model of both directions: two halves in one checkpoint, which fill blanks together."""

import math
import shutil

import numpy as np
import pytest
import torch

import charlm
from charlm.checkpoint import read_frequencies
from charlm.data import turn
from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.training import Step, create_backward, prepare_run, resume_run

CPU = torch.device("cpu")
SHORT = {"hidden_size": 24, "batch_size": 4, "bptt": 16, "steps": 60, "valid_every": 60}
SHORT |= {"learning_rate": 0.02, "dropout": 0.0, "direction": "both"}
LEVELS = {"char": {}, "word": {"independent_frames": True}, "bpe": {"vocab_size": 300}}
TEXT = "The fox ate the moon."


def finish(run):
    for _ in run.events():
        pass
    return run.folder


@pytest.fixture(scope="module", params=LEVELS)
def both(request, tmp_path_factory, tale):
    folder = tmp_path_factory.mktemp("both")
    corpus = folder / "tale.txt"
    corpus.write_text(tale, encoding="utf-8")
    given = {"paths": (str(corpus),), "level": request.param, **SHORT, **LEVELS[request.param]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        checkpoint = finish(prepare_run(given, folder / "run", CPU).run)
        finish(create_backward(checkpoint, CPU).run)
        yield charlm.load(checkpoint, "cpu")


def test_the_halves_are_what_models_of_one_direction_are(prepare):
    """The forward half as without the other; the backward half as a run of its own."""
    settings = {k: v for k, v in SHORT.items() if k != "direction"} | {"steps": 8, "valid_every": 4}
    both = finish(prepare("both", **settings, direction="both").run)
    finish(create_backward(both, CPU).run)

    for direction, folder in (("forward", both), ("backward", both / "backward")):
        single = finish(prepare(direction, **settings, direction=direction).run)
        assert (single / "model.safetensors").read_bytes() == (
            folder / "model.safetensors"
        ).read_bytes()


def test_a_run_goes_on_where_it_stopped_in_either_half(prepare):
    settings = SHORT | {"steps": 8, "valid_every": 4}
    straight = finish(prepare("straight", **settings).run)
    finish(create_backward(straight, CPU).run)

    run = prepare("stopped", **settings).run
    run.save()
    folder = run.folder
    for _ in range(4):  # each time some steps on, until both halves are done
        run = resume_run(folder, CPU).run
        for event in run.events():
            if isinstance(event, Step) and event.step in (3, 8):
                break
        run.save()

    for half in ("", "backward"):
        assert (straight / half / "model.safetensors").read_bytes() == (
            folder / half / "model.safetensors"
        ).read_bytes()
    with pytest.raises(CheckpointError, match="is finished, at step 8 of 8"):
        resume_run(folder, CPU)


def test_a_half_that_was_made_and_never_trained_is_made_again(prepare):
    settings = SHORT | {"steps": 4, "valid_every": 4}
    folder = finish(prepare("killed", **settings).run)
    create_backward(folder, CPU)  # and then the process is killed

    run = resume_run(folder, CPU).run

    assert run.folder == folder / "backward" and finish(run)
    with pytest.raises(CheckpointError, match=f"{folder} is finished, at step 4 of 4; .*--recipe"):
        resume_run(folder, CPU)
    shutil.rmtree(folder / "backward" / "state")  # which may be deleted
    with pytest.raises(CheckpointError, match="backward has no state"):
        resume_run(folder, CPU)


def test_the_corpus_may_be_gone_when_the_backward_half_begins(prepare, corpus):
    folder = finish(prepare("gone", **SHORT | {"steps": 4, "valid_every": 4}).run)
    corpus.unlink()

    finish(create_backward(folder, CPU).run)

    assert charlm.load(folder).backward.direction == "backward"


def test_a_cache_goes_with_either_half_and_not_with_both(both):
    cached = both.with_cache(weight=0.9)

    assert cached.backward.cache == cached.cache
    for ask in (lambda: cached.fill("a ___"), lambda: cached.score("a", context="both")):
        with pytest.raises(ConfigError, match="a cache remembers what was read"):
            ask()
    with pytest.raises(ConfigError, match="scores texts token by token"):
        both.evaluator(context="both").log_probs(["a"])


def test_a_share_is_of_all_candidates(both):
    few, many = (both.fill("The ___ was.", num_fillings=n, width=20) for n in (1, 5))

    assert len(few) == 1 and few[0] == many[0]
    assert sum(each.candidate_share for each in many) < 1
    assert all(each.probability is None for each in many)
    assert len(both.fill("The ___ was.", num_fillings=8, width=2)) >= 2


def test_the_probability_of_a_filling_is_exact_over_the_vocabulary(both):
    size = both.tokenizer.num_symbols
    every = both.fill("The ___ was.", max_blank_tokens=1, num_fillings=size)
    best = both.fill("The ___ was.", max_blank_tokens=1, num_fillings=2)
    asked = both.fill("The ___ was.", max_blank_tokens=1, num_fillings=2, width=size)

    log_probs = np.array([each.log_prob for each in every])
    expected = np.exp(log_probs) / np.exp(log_probs).sum()
    assert [each.probability for each in every] == pytest.approx(expected.tolist())
    assert {each.num_candidates for each in every} == {len(every)}
    assert best == every[:2] == asked
    if both.tokenizer.level != "bpe":  # whose tokens without a space are not due here
        assert len(every) == size


def test_more_fillings_than_can_be_ranked_are_candidates(both, monkeypatch):
    monkeypatch.setattr("charlm.api.filling.MAX_PRODUCTS", 1)

    found = both.fill("The ___ was.", max_blank_tokens=1)

    assert all(each.probability is None for each in found)
    assert all(each.num_candidates < both.tokenizer.num_symbols for each in found)


def test_the_forward_half_is_what_writes_and_evaluates(both):
    assert both.direction == "forward" and both.backward.direction == "backward"
    assert both.generate("The", max_new_tokens=5, seed=1).startswith("The")
    assert both.backward.generate("moon.", max_new_tokens=5, seed=1).endswith("moon.")
    assert 1 < both.evaluate(TEXT).perplexity < math.inf
    assert both.tokenizer.to_json() == both.backward.tokenizer.to_json()


def test_the_share_of_each_token_is_kept_for_both_sides_together(both):
    counts = read_frequencies(both.checkpoint.folder)
    train = both.evaluator().split("train").array

    assert counts.tolist() == np.bincount(train, minlength=both.tokenizer.vocab_size).tolist()


def test_scores_given_both_sides_are_better_and_sum_up_to_the_evaluation(both, tale):
    text = tale[:600]
    scores = list(both.score(text, context="both"))
    two, one = both.evaluator(context="both"), both.evaluator()
    part = two.read_file(both.checkpoint.config.corpus.paths[0])
    with two.encoded(part) as tokens:
        found = two.measure("tale", tokens).evaluation
        alone = one.measure("tale", tokens).evaluation

    assert sum(s.nats for s in scores) > 0 and all(math.isfinite(s.nats) for s in scores)
    assert found.num_tokens == alone.num_tokens
    if both.tokenizer.level == "char":  # the others have hardly learnt anything yet
        assert found.total_nats < alone.total_nats
    assert "-both-" in two.measure("tale", both.evaluator().split("test")).fingerprint
    assert sum(s.nats for s in scores) == pytest.approx(
        sum(s.nats for s in both.score(text, "line", context="both")), rel=1e-6
    )


def test_each_token_is_scored_from_both_sides(both):
    """Against networks stepped by hand from either end of the text."""
    tokenizer = both.tokenizer
    ids = [tokenizer.start_id, *tokenizer.encode(TEXT), tokenizer.stop_id]
    turned = turn(np.array(ids), np.array([], dtype=int), tokenizer).tolist()
    counts = read_frequencies(both.checkpoint.folder).double() + 1
    counts[[tokenizer.start_id, tokenizer.stop_id]] = 0

    def after(lm, tokens):
        state = lm.model.eval().initial_state(1)
        with torch.no_grad():
            for token in tokens:
                logits, state = lm.model.step(torch.tensor([token]), state)
        return logits[0].double().log_softmax(-1)

    expected = []
    for place in range(1, len(ids) - 1):
        right = turned[: len(ids) - 1 - place]
        joint = after(both, ids[:place]) + after(both.backward, right)
        joint = (joint - (counts / counts.sum()).log())[counts > 0].log_softmax(-1)
        kept = torch.cumsum(counts > 0, 0) - 1
        expected.append(-float(joint[kept[ids[place]]]))

    found = [score.nats for score in both.score(TEXT, context="both")]
    assert found[:-1] == pytest.approx(expected, rel=1e-3)
    assert found[-1] == pytest.approx(list(both.score(TEXT))[-1].nats, rel=1e-4)


def test_fillings_rank_by_the_probability_of_the_whole_text(both):
    found = both.fill("The ___ was the moon.", num_fillings=5)

    texts = [each.text for each in found]
    assert len(set(texts)) == 5
    assert [each.log_prob for each in found] == sorted(
        (each.log_prob for each in found), reverse=True
    )
    assert all(0 < each.candidate_share <= 1 for each in found)
    assert sum(each.candidate_share for each in found) <= 1
    for each in found:
        assert "___" not in each.text and len(each.fillings) == 1
        assert each.text.replace(" ", "") == f"The{each.fillings[0]}wasthemoon.".replace(" ", "")
        if both.tokenizer.encode(each.text) == encoded_apart(both, each):
            halves = both, both.backward
            log_probs = [half.log_probs([each.text])[0] for half in halves]
            assert each.log_prob == pytest.approx(sum(log_probs) / 2, rel=1e-4)


def encoded_apart(lm, filling):
    """The tokens as they were put together around the blank."""
    space = lm.tokenizer.level == "bpe"
    parts = ["The" if space else "The ", " " * space + filling.fillings[0], " was the moon."]
    return [token for part in parts for token in lm.tokenizer.encode(part)]


def test_several_blanks_are_filled_together(both):
    found = both.fill("The ___ ate the ____.", num_fillings=3, width=5, max_blank_tokens=2)

    assert len(found) == 3 and all(len(each.fillings) == 2 for each in found)
    again = both.fill("The ___ ate the ____.", num_fillings=3, width=5, max_blank_tokens=2)
    assert found == again


def test_a_text_without_a_blank_cannot_be_filled(both):
    with pytest.raises(TextError, match="the text has no blank; write ___ where"):
        both.fill("The fox ate the moon.")
    with pytest.raises(ConfigError, match="unknown settings of fill: beam"):
        both.fill("The ___.", beam=3)


def test_a_model_of_one_direction_cannot_fill(train):
    folder = train()

    for ask in (lambda lm: lm.fill("a ___"), lambda lm: lm.score("a", context="both")):
        with pytest.raises(CheckpointError, match="reads forwards only; this needs a model"):
            ask(charlm.load(folder))


def test_a_model_whose_backward_half_is_missing_says_how_to_get_it(both, tmp_path):
    copy = shutil.copytree(both.checkpoint.folder, tmp_path / "half")
    shutil.rmtree(copy / "backward")

    with pytest.raises(CheckpointError, match="is not trained yet; go on with `charlm train --res"):
        charlm.load(copy).fill("a ___")


def test_words_of_characters_are_not_known_from_the_right(both):
    if both.tokenizer.level == "word":
        assert list(both.score(TEXT, by="word", context="both"))
        return
    with pytest.raises(ConfigError, match="knows words only if they are its tokens"):
        list(both.score(TEXT, by="word", context="both"))


def test_halves_that_do_not_belong_together_are_refused(both, tmp_path, prepare):
    folder = tmp_path / "swapped"
    shutil.copytree(both.checkpoint.folder, folder)
    shutil.rmtree(folder / "backward")
    shutil.copytree(finish(prepare("other", steps=2).run), folder / "backward")

    with pytest.raises(CheckpointError, match="is not the backward half of"):
        _ = charlm.load(folder, "cpu").backward
