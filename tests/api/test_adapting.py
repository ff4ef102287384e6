"""Networks that adapt: what is remembered of them, measured once, and found by trying."""

import hashlib
import json
import math
import shutil
from dataclasses import asdict, replace

import pytest
import torch

import charlm
from charlm.api import Adaptation, Evaluator, adapt, adapting, remembered, tune_adaptation
from charlm.checkpoint import read_adaptations, save_adaptation, save_gradients, save_weights
from charlm.errors import CheckpointError, ConfigError, StorageError
from charlm.evaluation import (
    CacheConfig,
    CachedPredictor,
    DynamicConfig,
    DynamicNetwork,
    NetworkPredictor,
    evaluate,
    read_text,
)

DYNAMIC = DynamicConfig(learning_rate=1e-3, decay=0.01, bptt=7)
CACHE = CacheConfig(size=30, flatness=0.2, weight=0.2)
KINDS = [Adaptation(dynamic=DYNAMIC), Adaptation(cache=CACHE)]
KINDS += [Adaptation(dynamic=DYNAMIC, cache=CACHE)]


@pytest.fixture
def checkpoint(trained_folder, tmp_path):
    """A word model in a folder of its own."""
    folder = tmp_path / "words"
    shutil.copytree(trained_folder("word"), folder)
    return charlm.load(folder, "cpu").checkpoint


@pytest.fixture
def few_tokens(monkeypatch):
    monkeypatch.setattr(adapting, "TUNING_TOKENS", 30)


def nats_per_token(checkpoint, adaptation, tokens, counts, reading):
    scores = read_text(adapt(checkpoint, adaptation), tokens, reading)
    return evaluate(scores, counts, checkpoint.tokenizer).nats_per_token


def measured(checkpoint, adaptation=None):
    predictor = None if adaptation is None else adapt(checkpoint, adaptation)
    return Evaluator(checkpoint, predictor).evaluate_split("valid").evaluation


def digests(folder):
    """Of all files of a checkpoint."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def change_weights(checkpoint):
    with torch.no_grad():
        checkpoint.model.head.projection.bias.add_(0.125)
    save_weights(checkpoint.folder, checkpoint.model)


# -- adapting ---------------------------------------------------------------------------------


def test_a_way_to_adapt_has_a_name():
    assert [kind.name for kind in KINDS] == ["dynamic", "cache", "dynamic+cache"]


def test_a_network_adapts_in_the_ways_that_are_asked_for(checkpoint):
    plain, dynamic, cache = (adapt(checkpoint, kind) for kind in (Adaptation(), KINDS[0], KINDS[1]))

    assert [type(each) for each in (plain, dynamic, cache)] == [
        NetworkPredictor,
        DynamicNetwork,
        CachedPredictor,
    ]


def test_both_ways_together_are_a_cache_of_the_network_that_follows(checkpoint):
    sizes = adapting.gradient_sizes(checkpoint)
    expected = CachedPredictor(DynamicNetwork(checkpoint.model, sizes, DYNAMIC), CACHE)

    found = Evaluator(checkpoint, expected).evaluate_split("valid").evaluation

    assert measured(checkpoint, KINDS[2]) == found


def test_each_way_to_adapt_changes_the_figures_by_itself_and_with_the_other(checkpoint):
    found = [measured(checkpoint, kind).total_nats for kind in (None, *KINDS)]

    assert len(set(found)) == 4


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_adapting_is_deterministic_and_leaves_the_weights_as_they_are(checkpoint, kind):
    plain = measured(checkpoint)
    before = {name: tensor.clone() for name, tensor in checkpoint.model.state_dict().items()}
    files = digests(checkpoint.folder)

    once, again = (measured(checkpoint, kind) for _ in range(2))

    assert once == again
    assert all(before[name].equal(now) for name, now in checkpoint.model.state_dict().items())
    assert files.items() <= digests(checkpoint.folder).items()
    assert measured(checkpoint) == plain


# -- what is remembered -----------------------------------------------------------------------


def test_where_nothing_was_tuned_the_default_settings_serve(checkpoint):
    assert remembered(checkpoint, {}, None, "stream") == Adaptation(dynamic=DynamicConfig())
    assert remembered(checkpoint, None, {}, "stream") == Adaptation(cache=CacheConfig())
    assert remembered(checkpoint, None, None, "stream") == Adaptation()


def test_settings_that_are_given_come_before_those_that_were_tuned(checkpoint):
    save_adaptation(checkpoint.folder, "cache stream", asdict(KINDS[1]))

    assert remembered(checkpoint, None, {}, "stream").cache == CACHE
    assert remembered(checkpoint, None, {"weight": 0.5}, "stream").cache == replace(
        CACHE, weight=0.5
    )


def test_what_was_tuned_alone_is_not_for_both_together(checkpoint):
    save_adaptation(checkpoint.folder, "cache stream", asdict(KINDS[1]))
    assert remembered(checkpoint, {}, {}, "stream") == Adaptation(
        dynamic=DynamicConfig(), cache=CacheConfig()
    )

    save_adaptation(checkpoint.folder, "dynamic+cache stream", asdict(KINDS[2]))
    assert remembered(checkpoint, {}, {}, "stream") == KINDS[2]


def test_what_was_tuned_for_other_weights_is_passed_over(checkpoint):
    save_adaptation(checkpoint.folder, "cache stream", asdict(KINDS[1]))

    change_weights(checkpoint)

    assert remembered(checkpoint, None, {}, "stream").cache == CacheConfig()


@pytest.mark.parametrize(
    "by_hand",
    [{"size": 0}, {"size": "many"}, {"sise": 3, "weight": 7}, [], None, "fast"],
    ids=str,
)
def test_settings_spoilt_by_hand_are_passed_over(checkpoint, by_hand):
    save_adaptation(checkpoint.folder, "cache stream", {"dynamic": None, "cache": by_hand})

    assert remembered(checkpoint, None, {}, "stream").cache == CacheConfig()


def test_a_setting_out_of_range_is_a_mistake_whatever_was_tuned(checkpoint):
    save_adaptation(checkpoint.folder, "cache stream", asdict(KINDS[1]))

    with pytest.raises(ConfigError, match="weight must be above 0 and below 1"):
        remembered(checkpoint, None, {"weight": 1.5}, "stream")


# -- gradients --------------------------------------------------------------------------------


@pytest.fixture
def measurings(monkeypatch):
    """Each measuring of gradients appends to this."""
    done = []
    measure = adapting.measure_gradients

    def counted(*arguments):
        done.append(arguments)
        return measure(*arguments)

    monkeypatch.setattr(adapting, "measure_gradients", counted)
    return done


def test_gradients_of_another_shape_are_refused_by_name(checkpoint):
    sizes = dict(adapting.gradient_sizes(checkpoint))
    save_gradients(checkpoint.folder, sizes | {"head.projection.bias": torch.ones(2)})

    with pytest.raises(CheckpointError, match=r"head\.projection\.bias has shape \(2,\)"):
        adapt(checkpoint, KINDS[0])


def test_gradients_are_measured_once_and_kept(checkpoint, measurings):
    first = adapting.gradient_sizes(checkpoint)
    again = adapting.gradient_sizes(charlm.load(checkpoint.folder, "cpu").checkpoint)

    assert len(measurings) == 1
    assert first.keys() == again.keys() == dict(checkpoint.model.named_parameters()).keys()
    assert all(first[name].equal(again[name]) for name in first)
    assert all((size >= 0).all() and size.any() for size in first.values())


def test_gradients_of_other_weights_are_measured_again(checkpoint, measurings):
    before = adapting.gradient_sizes(checkpoint)

    change_weights(checkpoint)
    after = adapting.gradient_sizes(checkpoint)

    assert len(measurings) == 2
    assert not before["head.projection.bias"].equal(after["head.projection.bias"])


def test_in_a_folder_of_someone_else_gradients_are_measured_each_time(
    checkpoint, measurings, monkeypatch
):
    expected = measured(checkpoint, KINDS[0])
    (checkpoint.folder / "gradients.safetensors").unlink()
    files = digests(checkpoint.folder)

    def forbidden(folder, sizes):
        raise StorageError("cannot write gradients.safetensors: the folder is not writable.")

    monkeypatch.setattr(adapting, "save_gradients", forbidden)

    assert [measured(checkpoint, KINDS[0]) for _ in range(2)] == [expected] * 2
    assert len(measurings) == 3
    assert digests(checkpoint.folder) == files


def test_gradients_need_the_training_text_unless_they_are_kept(
    train, corpus, monkeypatch, tmp_path
):
    checkpoint = charlm.load(train(level="word")).checkpoint
    text = corpus.read_text()
    corpus.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    with pytest.raises(CheckpointError, match="dynamic evaluation is not possible yet") as error:
        adapt(checkpoint, KINDS[0])
    assert "tale.txt does not exist" in str(error.value) and "\n" not in str(error.value)

    corpus.write_text(text)
    adapt(checkpoint, KINDS[0])
    corpus.unlink()
    adapt(checkpoint, KINDS[0])


def test_a_model_that_is_trained_frame_by_frame_follows_a_text_too(train):
    checkpoint = charlm.load(train(level="word", frame="line", independent_frames=True)).checkpoint

    plain, following = measured(checkpoint), measured(checkpoint, KINDS[0])

    assert following.num_tokens == plain.num_tokens
    assert following.total_nats != plain.total_nats


# -- tuning -----------------------------------------------------------------------------------

WAYS = {"dynamic": ({}, None), "cache": (None, {}), "dynamic+cache": ({}, {})}
ALL_OF_DYNAMIC = {"learning_rate": 1e-3, "decay": 0.01}
ALL_OF_CACHE = {"size": 30, "flatness": 0.2, "weight": 0.2}


@pytest.fixture
def tuned(checkpoint, few_tokens):
    """A function from what is given for each way to the trials; the last one is the result."""

    def trials(dynamic, cache, **terms):
        evaluator = Evaluator(checkpoint, **terms)
        text = evaluator.split("valid")
        return list(tune_adaptation(checkpoint, dynamic, cache, text, evaluator.reading))

    return trials


@pytest.mark.parametrize("name", WAYS)
def test_tuning_finds_settings_at_least_as_good_as_those_it_begins_at(checkpoint, tuned, name):
    evaluator = Evaluator(checkpoint)
    text = evaluator.split("valid")
    start = remembered(checkpoint, *WAYS[name], "stream")  # nothing: the default ones

    trials = tuned(*WAYS[name])

    def nats(adaptation):
        tokens = text.tokens[:30]
        return nats_per_token(checkpoint, adaptation, tokens, text.counts, evaluator.reading)

    best, found = trials[-1]
    assert len(text) > 30
    assert best.name == start.name == name
    assert found == nats(best)
    assert found <= nats(start)
    assert found == min(n for trial, n in trials if trial.name == name)


@pytest.mark.parametrize("name", WAYS)
def test_tuning_begins_at_the_default_settings_whatever_was_tuned_before(tuned, name):
    first = tuned(*WAYS[name])

    assert tuned(*WAYS[name]) == first
    assert first[0][0] in (Adaptation(dynamic=DynamicConfig()), Adaptation(cache=CacheConfig()))


def test_a_cache_is_tuned_on_top_of_the_settled_dynamic_evaluation(tuned):
    trials = tuned({"bptt": 7}, {})

    first = [trial for trial in trials if trial[0].cache is None]
    then = trials[len(first) :]
    settled = min(first, key=lambda trial: trial[1])[0].dynamic
    assert {adaptation.dynamic for adaptation, _ in then} == {settled}
    assert all(adaptation.cache for adaptation, _ in then)


@pytest.mark.parametrize(
    "given",
    [
        ({"learning_rate": 1e-3}, None),
        ({"decay": 0.25, "bptt": 7}, None),
        (None, {"size": 40}),
        (None, {"flatness": 0.0, "weight": 0.3}),
        ({"bptt": 7}, {"weight": 0.3}),
    ],
    ids=str,
)
def test_settings_that_are_given_stay_and_the_others_are_tuned(checkpoint, tuned, given):
    trials = tuned(*given)

    for kind, settings in zip(("dynamic", "cache"), given, strict=True):
        tried = [asdict(a)[kind] for a, _ in trials if getattr(a, kind) is not None]
        assert bool(tried) == (settings is not None)
        for name, value in (settings or {}).items():
            assert {each[name] for each in tried} == {value}
        others = {"learning_rate", "decay", "size", "flatness", "weight"} - (settings or {}).keys()
        for name in others & (tried[0].keys() if tried else set()):
            assert len({each[name] for each in tried}) > 1
    assert (
        remembered(checkpoint, *({} if g is not None else None for g in given), "stream")
        == (trials[-1][0])
    )


@pytest.mark.parametrize(
    "given",
    [
        (ALL_OF_DYNAMIC, None),
        ({**ALL_OF_DYNAMIC, "bptt": 7}, None),
        (None, ALL_OF_CACHE),
        (ALL_OF_DYNAMIC, ALL_OF_CACHE),
    ],
    ids=str,
)
def test_where_all_settings_are_given_there_is_nothing_to_tune(checkpoint, tuned, given):
    with pytest.raises(ConfigError, match="nothing to tune: all settings are given"):
        tuned(*given)

    assert not (checkpoint.folder / "adaptation.json").exists()


def test_a_way_whose_settings_are_all_given_is_taken_as_it_is(tuned):
    dynamic = DynamicConfig(**ALL_OF_DYNAMIC)
    trials = tuned(ALL_OF_DYNAMIC, {})
    assert {adaptation.dynamic for adaptation, _ in trials} == {dynamic}
    assert len({adaptation.cache for adaptation, _ in trials}) > 4

    trials = tuned({}, ALL_OF_CACHE)
    assert {adaptation.cache for adaptation, _ in trials} == {None, CacheConfig(**ALL_OF_CACHE)}
    assert len({adaptation.dynamic for adaptation, _ in trials}) > 3


def test_what_was_tuned_is_used_next_time(checkpoint, tuned):
    best, _ = tuned(None, {})[-1]

    assert best.cache != CacheConfig()
    assert remembered(checkpoint, None, {}, "stream") == best
    assert charlm.load(checkpoint.folder, "cpu").with_cache().cache == best.cache
    content = json.loads((checkpoint.folder / "adaptation.json").read_text())
    assert content["settings"] == {"cache stream": {"dynamic": None, "cache": asdict(best.cache)}}


def test_what_was_tuned_for_streams_is_not_for_frames(checkpoint, tuned):
    stream, _ = tuned(None, {})[-1]
    assert remembered(checkpoint, None, {}, "frame") == Adaptation(cache=CacheConfig())

    frame, _ = tuned(None, {}, context="frame")[-1]

    assert remembered(checkpoint, None, {}, "frame") == frame != stream
    assert remembered(checkpoint, None, {}, "stream") == stream


def test_a_model_that_is_trained_frame_by_frame_writes_with_what_was_tuned_for_frames(train):
    folder = train(level="word", frame="line", independent_frames=True)
    save_adaptation(folder, "cache frame", asdict(KINDS[1]))
    save_adaptation(folder, "cache stream", asdict(Adaptation(cache=replace(CACHE, size=3))))

    assert charlm.load(folder, "cpu").with_cache().cache == CACHE


def test_one_tuning_leaves_what_another_found(checkpoint, tuned):
    tuned(*WAYS["dynamic"]), tuned(*WAYS["cache"]), tuned(*WAYS["cache"], context="frame")

    names = sorted(read_adaptations(checkpoint.folder))
    assert names == ["cache frame", "cache stream", "dynamic stream"]


def test_where_no_settings_work_nothing_is_remembered(checkpoint, few_tokens, monkeypatch):
    def runs_away(*arguments):
        raise ConfigError("dynamic evaluation runs away")

    evaluator = Evaluator(checkpoint)
    text = evaluator.split("valid")
    monkeypatch.setattr(adapting, "read_text", runs_away)

    trials = tune_adaptation(checkpoint, {}, None, text, evaluator.reading)

    with pytest.raises(ConfigError, match="no settings of dynamic evaluation work"):
        assert {nats for _, nats in trials} == {math.inf}
    assert not (checkpoint.folder / "adaptation.json").exists()


def test_in_a_folder_of_someone_else_the_best_settings_are_told_all_the_same(
    checkpoint, few_tokens, monkeypatch
):
    def forbidden(*arguments):
        raise StorageError("cannot write adaptation.json: the folder is not writable.")

    monkeypatch.setattr(adapting, "save_adaptation", forbidden)
    evaluator, told = Evaluator(checkpoint), []

    with pytest.raises(StorageError, match="cannot write"):
        for trial in tune_adaptation(
            checkpoint, None, {}, evaluator.split("valid"), evaluator.reading
        ):
            told.append(trial)

    assert told[-1][1] == min(nats for _, nats in told)
