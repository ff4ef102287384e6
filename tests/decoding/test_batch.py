"""Texts that take steps together go the way that each would go by itself."""

import pytest
import torch

from charlm.decoding import DecodingConfig, Rules, read_prompts
from charlm.decoding.batch import Batch
from charlm.model import LanguageModel, ModelConfig

VOCAB_SIZE, STOP = 6, 5
PROMPTS = [(0, 1), (2,), (0, 1, 2, 3), (1,), (3, 2, 1, 0), (0, 1, 2)]
RULES = Rules(vocab_size=VOCAB_SIZE, stop_id=STOP)


@pytest.mark.parametrize("rows", [[0], [2, 1], [1, 1, 1], list(range(6)), [5, 4, 3, 2, 2, 1, 0]])
def test_what_follows_a_prompt_does_not_depend_on_the_others(random_model, rows):
    model = random_model(0, VOCAB_SIZE)
    prompts = [PROMPTS[row] for row in rows]

    logits, state = read_prompts(model, prompts)
    tokens = torch.arange(len(rows)) % VOCAB_SIZE
    next_logits, _ = model.step(tokens, state)

    assert logits.equal(torch.stack([model.logits_after(prompt) for prompt in prompts]))
    longer = [(*prompt, token) for prompt, token in zip(prompts, tokens.tolist(), strict=True)]
    assert next_logits.equal(torch.stack([model.logits_after(text) for text in longer]))


def test_every_prompt_is_read_no_further_than_it_goes(random_model):
    model = random_model(0, VOCAB_SIZE)

    read_prompts(model, [(0, 5, 2, 3), (0, 1, 2, 3, 4), (3, 1, 0, 4)])

    assert model.batch_sizes == [3, 3, 3, 3, 1]


def test_equal_prompts_are_read_once(random_model):
    model = random_model(0, VOCAB_SIZE)

    logits, _ = read_prompts(model, [(0, 1), (2,), (0, 1), (0, 1), [2]])

    assert model.batch_sizes == [2, 1]
    assert logits.shape == (5, VOCAB_SIZE)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_prompts_of_a_language_model_are_read_as_by_a_forward_pass(cell):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=VOCAB_SIZE, cell=cell, **sizes)).eval()

    with torch.inference_mode():
        logits, _ = read_prompts(model, PROMPTS)
        expected = [
            model(torch.tensor([prompt]), model.initial_state(1))[0][0, -1] for prompt in PROMPTS
        ]

    torch.testing.assert_close(logits, torch.stack(expected))


def start(model, prompts=PROMPTS, **config):
    return Batch(model, prompts, DecodingConfig(**config), RULES)


def test_rows_advance_together_or_those_that_are_named(random_model):
    model = random_model(1, VOCAB_SIZE)
    batch = start(model)

    batch.advance(torch.tensor([0, 1, 2, 3, 4, 0]))
    batch.advance(torch.tensor([1, 1, 2]), [5, 0, 5])

    expected = [(*PROMPTS[5], 0, 1), (*PROMPTS[0], 0, 1), (*PROMPTS[5], 0, 2)]
    assert batch.logits.equal(torch.stack([model.logits_after(text) for text in expected]))


def test_a_branch_leaves_the_batch_where_it_is(random_model):
    model = random_model(1, VOCAB_SIZE)
    batch = start(model, repetition_penalty=2.0, no_repeat_ngram_size=2, frequency_penalty=1.0)
    before = batch.allowed_logits()

    left = batch.branch(torch.tensor([2, 3]), [0, 1])
    right = batch.branch(torch.tensor([4]), [0])

    assert batch.allowed_logits().equal(before)
    assert left.logits.equal(
        torch.stack([model.logits_after((*PROMPTS[0], 2)), model.logits_after((*PROMPTS[1], 3))])
    )
    assert right.logits.equal(model.logits_after((*PROMPTS[0], 4))[None])


def test_what_is_computed_with_logits_is_in_float64(random_model):
    batch = start(random_model(1, VOCAB_SIZE))

    assert batch.logits.dtype == torch.float32
    assert batch.allowed_logits().equal(batch.logits.double())
    assert batch.allowed_log_probs().equal(batch.logits.double().log_softmax(-1))


def test_what_is_barred_leaves_its_share_of_the_probability_unused(random_model):
    batch = start(random_model(1, VOCAB_SIZE), min_new_tokens=1)

    left = batch.allowed_log_probs().exp().sum(-1)

    torch.testing.assert_close(1 - left, batch.logits.double().softmax(-1)[:, STOP])
