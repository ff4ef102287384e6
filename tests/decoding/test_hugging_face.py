"""The same settings give the same as in Hugging Face's transformers."""

import pytest
import torch
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.generation import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)
from transformers.modeling_outputs import CausalLMOutput

from charlm.decoding import DecodingConfig, beam_search, generate_tokens
from charlm.decoding.constraints import Constraints
from charlm.decoding.sampling import shape_distribution

VOCAB_SIZE, STOP = 24, 23
NUM_ROWS, PROMPT_LENGTH, NUM_NEW = 40, 4, 5


class HuggingFaceModel(PreTrainedModel, GenerationMixin):
    """A function of the prefix as transformers wants a model."""

    config_class = PretrainedConfig

    def __init__(self, logits_after, vocab_size):
        super().__init__(PretrainedConfig(vocab_size=vocab_size))
        self.logits_after = logits_after
        self.anchor = torch.nn.Parameter(torch.zeros(1))  # there must be one

    def forward(self, input_ids, **ignored):
        logits = [self.logits_after(tuple(prefix)) for prefix in input_ids.tolist()]
        return CausalLMOutput(logits=torch.stack(logits)[:, None])


def generate(model, prompts, **settings):
    """Texts and their scores, of prompts of one length."""
    prompts = torch.tensor(prompts)
    return HuggingFaceModel(model.logits_after, VOCAB_SIZE).generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        eos_token_id=STOP,
        pad_token_id=STOP,
        use_cache=False,
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )


# Processors of logits

BANNED = [(3, 4), (5, 6, 7), (8,), (9, 9)]
PROCESSORS = {  # settings, words, and what they are there; in the order of transformers
    "bias": ({}, {"bias": {2: 1.5, 7: -3.0}}, [[[2], 1.5], [[7], -3.0]]),
    "repetition": ({"repetition_penalty": 1.3}, {}, 1.3),
    "repetition encouraged": ({"repetition_penalty": 0.6}, {}, 0.6),
    "unigrams": ({"no_repeat_ngram_size": 1}, {}, 1),
    "bigrams": ({"no_repeat_ngram_size": 2}, {}, 2),
    "trigrams": ({"no_repeat_ngram_size": 3}, {}, 3),
    "bans": ({}, {"banned": BANNED[:2] + BANNED[3:], "barred": (8,)}, list(map(list, BANNED))),
    "least length reached": ({"min_new_tokens": NUM_NEW}, {}, NUM_NEW),
    "least length": ({"min_new_tokens": NUM_NEW + 1}, {}, NUM_NEW + 1),
    "barred": ({}, {"barred": (0, 11, 12)}, [0, 11, 12]),
    "cold": ({"temperature": 0.3}, {}, 0.3),
    "hot": ({"temperature": 1.9}, {}, 1.9),
    "top-k": ({"top_k": 5}, {}, 5),
    "top-k of more than there are": ({"top_k": 100}, {}, 100),
    "top-p": ({"top_p": 0.8}, {}, 0.8),
    "top-p of little": ({"top_p": 0.01}, {}, 0.01),
    "min-p": ({"min_p": 0.2}, {}, 0.2),
    "typical": ({"typical_p": 0.7}, {}, 0.7),
    "typical of little": ({"typical_p": 0.05}, {}, 0.05),
}


def processor(settings, words, value):
    """What transformers has for a setting."""
    (name, *_) = [*words, *settings]
    return {
        "bias": lambda: SequenceBiasLogitsProcessor(value),
        "repetition_penalty": lambda: RepetitionPenaltyLogitsProcessor(value),
        "no_repeat_ngram_size": lambda: NoRepeatNGramLogitsProcessor(value),
        "banned": lambda: NoBadWordsLogitsProcessor(value, STOP),
        "min_new_tokens": lambda: MinNewTokensLengthLogitsProcessor(PROMPT_LENGTH, value, STOP),
        "barred": lambda: SuppressTokensLogitsProcessor(value),
        "temperature": lambda: TemperatureLogitsWarper(value),
        "top_k": lambda: TopKLogitsWarper(value),
        "top_p": lambda: TopPLogitsWarper(value),
        "min_p": lambda: MinPLogitsWarper(value),
        "typical_p": lambda: TypicalLogitsWarper(value),
    }[name]()


def random_texts(seed):
    """Prompts with what follows them, (rows, length), and logits; few tokens, so that they meet."""
    generator = torch.Generator().manual_seed(seed)
    texts = torch.randint(0, 10, (NUM_ROWS, PROMPT_LENGTH + NUM_NEW), generator=generator)
    texts[::4, -2:] = torch.tensor([5, 6])
    texts[1::4, -1:] = torch.tensor([3])
    return texts, torch.randn(NUM_ROWS, VOCAB_SIZE, generator=generator) * 3


def shape(texts, logits, config, rules):
    """As charlm does: the texts are remembered token by token."""
    constraints = Constraints(config, rules, texts[:, :PROMPT_LENGTH].tolist())
    for tokens in texts[:, PROMPT_LENGTH:].T:
        constraints.append(tokens)
    return shape_distribution(constraints.apply(logits.double()), config)


def assert_same_distribution(found, expected):
    assert found.isneginf().equal(expected.isneginf())
    torch.testing.assert_close(
        found.float().softmax(-1), expected.softmax(-1), atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PROCESSORS)
def test_each_setting_does_what_its_processor_does(rules_for, name, seed):
    settings, words, _ = PROCESSORS[name]
    texts, logits = random_texts(seed)

    found = shape(texts, logits, DecodingConfig(**settings), rules_for(VOCAB_SIZE, STOP, **words))

    expected = processor(*PROCESSORS[name])(texts, logits)
    assert_same_distribution(found, expected)


CHAINS = [
    ("repetition", "bigrams", "least length", "barred"),
    ("bias", "repetition", "trigrams", "cold", "top-k"),
    ("top-k", "top-p"),
    ("hot", "top-p", "min-p"),
    ("bans", "hot", "top-k", "typical"),
    ("barred", "hot", "top-p", "typical"),
    ("bias", "repetition encouraged", "bigrams", "least length", "barred", "hot", "top-p", "min-p"),
    ("bias", "repetition", "bigrams", "bans", "hot", "top-k", "top-p", "min-p", "typical"),
]


@pytest.mark.parametrize("names", CHAINS, ids=" ".join)
def test_settings_together_do_what_processors_do_one_after_the_other(rules_for, names):
    entries = [PROCESSORS[name] for name in names]
    settings = {k: v for entry in entries for k, v in entry[0].items()}
    words = {k: v for entry in entries for k, v in entry[1].items()}
    texts, logits = random_texts(7)

    found = shape(texts, logits, DecodingConfig(**settings), rules_for(VOCAB_SIZE, STOP, **words))

    expected = LogitsProcessorList([processor(*entry) for entry in entries])(texts, logits)
    assert_same_distribution(found, expected)


GENERATED = [  # charlm's settings and words, and how generate is told of both
    ({"temperature": 0.7, "top_k": 9, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.95}, {}, {}),
    (
        {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 3, "top_p": 0.9},
        {"barred": (0, 5)},
        {"suppress_tokens": [0, 5]},
    ),
    (
        {"repetition_penalty": 0.8, "temperature": 1.5, "min_new_tokens": 6, "top_k": 12},
        {"bias": {1: 2.0, 2: 1.0}, "banned": [(1, 1), (1, 2, 1)], "barred": (3,)},
        {
            "sequence_bias": [[[1], 2.0], [[2], 1.0]],
            "bad_words_ids": [[1, 1], [1, 2, 1]],
            "suppress_tokens": [3],
        },
    ),
]


@pytest.mark.parametrize(("settings", "words", "their_words"), GENERATED)
def test_every_token_that_generate_samples_comes_from_the_same_distribution(
    random_model, rules_for, settings, words, their_words
):
    model = random_model(0, VOCAB_SIZE, spread=1.5)
    prompts = [(1, first, second) for first in range(4) for second in range(4)]
    torch.manual_seed(0)

    theirs = {"top_k": 0, "max_new_tokens": 8, "do_sample": True} | settings | their_words
    sampled = generate(model, prompts, **theirs)

    config = DecodingConfig(max_new_tokens=8, **settings)
    constraints = Constraints(config, rules_for(VOCAB_SIZE, STOP, **words), prompts)
    going = torch.ones(len(prompts), dtype=torch.bool)
    for length, expected in enumerate(sampled.scores, start=3):
        logits = [
            model.logits_after(tuple(text)) for text in sampled.sequences[:, :length].tolist()
        ]
        found = shape_distribution(constraints.apply(torch.stack(logits).double()), config)
        assert_same_distribution(found[going], expected[going])
        constraints.append(sampled.sequences[:, length])
        going &= sampled.sequences[:, length] != STOP
    assert length == 10


@pytest.mark.parametrize(("settings", "words", "their_words"), GENERATED[1:])
def test_greedy_texts_are_the_same(random_model, rules_for, settings, words, their_words):
    greedy = {
        name: value
        for name, value in settings.items()
        if name in ("repetition_penalty", "no_repeat_ngram_size", "min_new_tokens")
    }
    prompts = [(first, second) for first in range(6) for second in range(6)]
    model = random_model(1, VOCAB_SIZE)

    theirs = generate(
        model, prompts, max_new_tokens=12, do_sample=False, **greedy | their_words
    ).sequences[:, 2:]

    config = DecodingConfig(greedy=True, max_new_tokens=12, **greedy)
    ours = [[] for _ in prompts]
    steps = generate_tokens(
        model, prompts, config, rules_for(VOCAB_SIZE, STOP, **words), generators=[]
    )
    for step in steps:
        for row, token in zip(step.rows, step.tokens, strict=True):
            ours[row].append(token)
    assert [text + [STOP] * (12 - len(text)) for text in ours] == theirs.tolist()


# Beam search

SEARCHES = [
    ({}, {}, {}),
    ({"no_repeat_ngram_size": 2}, {}, {}),
    ({"repetition_penalty": 1.5}, {}, {}),
    ({"repetition_penalty": 0.7, "no_repeat_ngram_size": 3}, {}, {}),
    ({"min_new_tokens": 4}, {}, {}),
    ({}, {"barred": (0, 2)}, {"suppress_tokens": [0, 2]}),
    ({}, {"bias": {STOP: 1.0, 4: 0.5}}, {"sequence_bias": [[[STOP], 1.0], [[4], 0.5]]}),
    (
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "min_new_tokens": 2},
        {"barred": (1,), "banned": [(2, 3), (4, 5, 6)], "bias": {STOP: 1.5}},
        {
            "suppress_tokens": [1],
            "bad_words_ids": [[2, 3], [4, 5, 6]],
            "sequence_bias": [[[STOP], 1.5]],
        },
    ),
]


@pytest.mark.parametrize(("settings", "words", "their_words"), SEARCHES)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("beam", "number"), [(2, 1), (5, 4)])
def test_beam_search_finds_the_same_texts_with_the_same_scores(
    random_model, rules_for, beam, number, early_stopping, settings, words, their_words
):
    rules = rules_for(VOCAB_SIZE, STOP, **words)
    for seed, length_penalty in enumerate([0.0, 0.6, 1.0, 2.0, -0.5]):
        model = random_model(seed, VOCAB_SIZE, spread=2)
        prompts = [(7, first) for first in range(7)]  # as many random models
        both = {
            "max_new_tokens": 4 + 3 * seed,
            "length_penalty": length_penalty,
            "early_stopping": early_stopping,
        }

        theirs = generate(
            model,
            prompts,
            num_beams=beam,
            num_return_sequences=number,
            do_sample=False,
            **both | settings | their_words,
        )

        config = DecodingConfig(beam=beam, **both, **settings)
        found = [h for p in prompts for h in beam_search(model, p, config, rules)[:number]]
        texts = [remove_padding(text) for text in theirs.sequences[:, 2:].tolist()]
        assert [list(h.tokens) for h in found] == texts
        torch.testing.assert_close(
            torch.tensor([h.score for h in found]), theirs.sequences_scores, atol=1e-5, rtol=1e-5
        )


def remove_padding(text):
    return text[: text.index(STOP)] if STOP in text else text
