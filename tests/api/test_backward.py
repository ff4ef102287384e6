"""A model that predicts the past from the future does all that a forward one does, turned round."""

import math
from pathlib import Path

import pytest
import torch

import charlm
from charlm.api import Evaluator
from charlm.checkpoint import load_checkpoint
from charlm.data import turn
from charlm.errors import ConfigError
from charlm.training import find_part, prepare_run

CPU = torch.device("cpu")
SHORT = {"hidden_size": 24, "batch_size": 4, "bptt": 16, "steps": 150, "valid_every": 150}
SHORT |= {"learning_rate": 0.02, "dropout": 0.0, "direction": "backward"}


@pytest.fixture(scope="module", params=["char", "word", "bpe"])
def backward(request, tmp_path_factory, tale):
    folder = tmp_path_factory.mktemp("backward")
    corpus = folder / "tale.txt"
    corpus.write_text(tale, encoding="utf-8")
    given = {"paths": (str(corpus),), "level": request.param, **SHORT}
    if request.param == "bpe":
        given["vocab_size"] = 300
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        run = prepare_run(given, folder / "run", CPU).run
        list(run.events())
        yield charlm.load(run.folder, "cpu")


def nats_by_hand(lm, ids):
    """Of each token of one frame, from the last to the first, then of its beginning."""
    tokenizer, model = lm.tokenizer, lm.model.eval()
    state, before, nats = model.initial_state(1), tokenizer.start_id, []
    for token in (*reversed(ids), tokenizer.stop_id):
        with torch.no_grad():
            logits, state = model.step(torch.tensor([before]), state)
        nats.append(-float(logits[0].log_softmax(-1)[token]))
        before = token
    return nats


TEXT = "The fox ate the moon."


def test_each_token_is_scored_after_what_follows_it(backward):
    ids = backward.tokenizer.encode(TEXT)
    *of_tokens, of_beginning = nats_by_hand(backward, ids)

    found = [token.nats for token in backward.score(TEXT)]

    assert found == pytest.approx([*reversed(of_tokens), of_beginning], rel=1e-4)


def test_an_evaluation_has_the_counts_of_a_forward_one_and_the_sum_of_its_scores(backward):
    found = backward.evaluate(TEXT)

    assert found.num_tokens == len(backward.tokenizer.encode(TEXT)) + 1
    assert found.total_nats == pytest.approx(sum(t.nats for t in backward.score(TEXT)), rel=1e-6)
    assert found.num_chars == len(TEXT)
    assert found.num_stop == 1


def test_sentences_of_their_own_are_read_backwards_too(backward):
    sentences = ["The fox ate the moon.", "moon the ate fox"]

    found = backward.log_probs(sentences)

    evaluator = Evaluator(load_checkpoint(backward.checkpoint.folder, CPU))
    for text, log_prob in zip(sentences, found, strict=True):
        ids = list(backward.tokenizer.encode(text))
        if (mark := evaluator._line_break) is not None:
            *nats, _ = nats_by_hand(backward, [mark, *ids, mark])
            assert log_prob == pytest.approx(-sum(nats[1:]), rel=1e-4)
        else:
            assert log_prob == pytest.approx(-sum(nats_by_hand(backward, ids)), rel=1e-4)


def test_the_parts_of_the_corpus_are_turned_and_kept(backward):
    config, tokenizer = backward.checkpoint.config, backward.tokenizer
    test = find_part(backward.checkpoint, "test")

    forward = turn(test.tokens, test.tokens[:0], tokenizer)
    words = tokenizer.decode(int(token) for token in forward).split()

    assert forward[0] == tokenizer.start_id and forward[-1] == tokenizer.stop_id
    corpus = Path(config.corpus.paths[0]).read_text()
    assert corpus.split()[-1] == words[-1] or tokenizer.level == "word"
    assert backward.evaluate_split("test").num_tokens == int((forward != tokenizer.start_id).sum())


def test_what_is_written_leads_up_to_the_ending(backward):
    ending = " the moon."
    text = backward.generate(ending, max_new_tokens=8, seed=2)

    assert text.endswith(ending) and len(text) > len(ending)
    assert text == backward.generate(ending, max_new_tokens=8, seed=2)
    (generation,) = backward.generate_many(
        [ending], charlm.api.decoding_config({"max_new_tokens": 8}), seed=2
    )
    ids = backward.tokenizer.encode(ending)
    written = backward.tokenizer.decode([*reversed(generation.tokens), *ids])
    assert written.endswith(text.strip()) or generation.end == "<stop>"


def test_a_beam_finds_the_likeliest_beginning(backward):
    ending = "moon."
    (found,) = backward.generate_many(
        [ending], charlm.api.decoding_config({"beam": 4, "max_new_tokens": 3}), seed=0
    )
    ids = [*backward.tokenizer.encode(ending)]
    body = [token for token in found.tokens if token != backward.tokenizer.stop_id]

    nats = nats_by_hand(backward, [*reversed(body), *ids])
    end = len(ids) + len(found.tokens)
    assert found.log_prob == pytest.approx(-sum(nats[len(ids) : end]), rel=1e-3)


def test_a_stop_string_cuts_off_what_comes_before_it(backward):
    free = backward.generate("moon.", max_new_tokens=40, temperature=0)
    body = free.removesuffix("moon.")
    if len(body.strip()) < 4:
        pytest.skip("it has nothing to say")
    stop = body[len(body) // 2 : len(body) // 2 + 2]

    cut = backward.generate("moon.", max_new_tokens=40, temperature=0, stop=stop)

    assert free.endswith(cut)
    assert stop not in cut.removesuffix("moon.")


def test_a_ban_is_not_written_in_either_direction(backward):
    text = backward.generate("moon.", max_new_tokens=60, seed=5, ban=["the"])

    assert "the" not in text.removesuffix("moon.").split()


def test_words_of_characters_cannot_be_scored(backward):
    if backward.tokenizer.level == "word":
        assert all(math.isfinite(word.nats) for word in backward.score(TEXT, by="word"))
        return
    with pytest.raises(ConfigError, match="knows words only if they are its tokens"):
        list(backward.score(TEXT, by="word"))
