"""The plan, on machines and texts that are nothing but numbers."""

import pytest

from charlm.errors import ConfigError, TextError
from charlm.model import LanguageModel
from charlm.training import Facts, make_plan, parse_time, rules
from charlm.training.memory import memory_bytes
from charlm.training.pace import find_pace
from charlm.training.settle import plan_training


def facts(num_tokens=1_000_000, **changes):
    known = {
        "level": "char",
        "vocab_size": 68,
        "num_tokens": num_tokens,
        "num_valid_tokens": num_tokens // 20,
        "num_windows": lambda t: -(-(num_tokens - 1) // (t.batch_size * t.bptt)),
    }
    return Facts(**{**known, **changes})


def machine(flops_per_second=2e11):
    """A machine whose step takes as long as its products do."""

    def measure(model, training, seconds):
        weights = 8 * model.hidden_size**2 * model.num_layers
        tokens = training.batch_size * training.bptt * training.accumulation_steps
        return 6 * weights * tokens / flops_per_second

    return measure


def never(model, training, seconds):
    raise AssertionError("nothing needs measuring")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 90), ("5m", 300), ("1.5h", 5400), ("1h30m", 5400), ("1d", 86400)),
        *(("5", 300), ("0.5", 30), (" 5 ", 300), ("5min", 300), ("90 s", 90), ("5 m", 300)),
        *(("1h 30m", 5400), ("2 hours", 7200), ("1 Hour 30 Minutes", 5400), ("45sec", 45)),
    ],
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "0s", "0", "-5m", "-5", "5m3", "five", "5 fortnights", "5,5m", "\u0665m"]
)
def test_what_is_no_time_is_one_clear_line(text):
    with pytest.raises(
        ConfigError, match=r"--time must be a duration such as 90s.*\(a bare number is minutes\)"
    ):
        parse_time(text)


@pytest.mark.parametrize("time", ["30s", "5m", "1h"])
@pytest.mark.parametrize("num_tokens", [2_000, 100_000, 1_000_000, 50_000_000])
def test_the_plan_keeps_to_the_time(time, num_tokens):
    plan = make_plan({"time": time}, facts(num_tokens), machine())

    assert plan.expected_seconds <= parse_time(time)
    assert plan.training.warmup_steps < plan.training.steps
    assert plan.training.valid_every <= plan.training.steps


def test_each_of_two_directions_gets_half_of_the_time():
    settings = {"hidden_size": 256, "time": "10m"}
    one, half = (
        make_plan({**settings, **more}, facts(20_000_000), machine())
        for more in ({}, {"direction": "both"})
    )

    assert half.training.steps == pytest.approx(one.training.steps / 2, rel=0.02)
    assert half.budget.seconds == pytest.approx(one.budget.seconds / 2, rel=0.01)
    assert half.expected_seconds == pytest.approx(one.expected_seconds, rel=0.02)
    assert "two such models, one for each direction" in " ".join(half.reasons)


def test_a_faster_machine_gets_more_steps_or_a_larger_model():
    slow = make_plan({}, facts(10_000_000), machine(1e11))
    fast = make_plan({}, facts(10_000_000), machine(1e13))

    assert fast.model.hidden_size > slow.model.hidden_size
    assert fast.training.steps >= slow.training.steps


def test_a_short_text_is_not_learnt_by_heart():
    plan = make_plan({"time": "8h"}, facts(20_000), machine())

    assert plan.num_epochs <= 12
    assert "epochs" in plan.why


def test_words_of_a_short_text_are_seen_least_often():
    assert make_plan({"time": "8h"}, facts(20_000, level="word"), machine()).num_epochs <= 5


def test_what_is_given_wins():
    given = {
        "time": "1m",
        "hidden_size": 96,
        "dropout": 0.1,
        "batch_size": 7,
        "bptt": 13,
        "learning_rate": 0.123,
        "valid_every": 3,
        "warmup_steps": 2,
        "cell": "gru",
        "precision": "float32",
    }

    plan = make_plan(given, facts(has_bfloat16=True), machine())

    settings = {
        name: getattr(part, name)
        for part in (plan.training, plan.model)
        for name in given
        if hasattr(part, name)
    }
    assert settings == {k: v for k, v in given.items() if k != "time"}
    assert plan.model.embedding_size == 96


@pytest.mark.parametrize(("epochs", "dropout"), [(1, 0.0), (2, 0.1), (5, 0.3), (18, 0.5)])
def test_a_text_seen_often_is_learnt_with_more_dropout(epochs, dropout):
    assert make_plan({"epochs": epochs}, facts(), never).model.dropout == dropout
    assert make_plan({"epochs": epochs, "dropout": 0.1}, facts(), never).model.dropout == 0.1


def test_the_time_that_measuring_takes_is_part_of_the_budget(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("charlm.training.pace.time.monotonic", lambda: now[0])

    def slow(model, training, seconds):
        now[0] += 100
        return 0.01

    plan = make_plan({"hidden_size": 16}, facts(10**8), slow)

    assert plan.expected_seconds <= 200


def test_steps_and_epochs_set_the_length_without_measuring():
    by_steps = make_plan({"steps": 77}, facts(), never)
    by_epochs = make_plan({"epochs": 2}, facts(), never)

    assert by_steps.training.steps == 77
    assert by_epochs.num_epochs == pytest.approx(2, abs=0.01)


def test_embeddings_are_tied_only_where_the_sizes_allow():
    tied = make_plan({"steps": 1, "hidden_size": 64}, facts(), never).model
    untied = make_plan({"steps": 1, "hidden_size": 64, "embedding_size": 32}, facts(), never).model

    assert tied.tie_embeddings and not untied.tie_embeddings


def test_clipping_by_value_takes_the_place_of_the_norm():
    training = make_plan({"steps": 1, "clip_value": 0.5}, facts(), never).training

    assert (training.clip_norm, training.clip_value) == (None, 0.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 1, "time": "5m"}, "exclude each other"),
        ({"epochs": 0}, "--epochs must be above 0"),
        ({"time": "1s", "hidden_size": 100_000}, "too short"),
        ({"steps": 5, "clip_norm": 1.0, "clip_value": 1.0}, "exclude each other"),
        ({"steps": 5, "embedding_size": 8, "hidden_size": 4, "tie_embeddings": True}, "tied"),
        ({"steps": 5, "bptt": 0}, "bptt must be at least 1"),
        ({"steps": 5, "hidden_size": 0}, "hidden_size"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(given, said):
    with pytest.raises(ConfigError, match=said):
        make_plan(given, facts(), machine())


@pytest.mark.parametrize(
    ("num_tokens", "given"), [(30, {}), (1000, {"bptt": 1000}), (50, {"bptt": 2, "batch_size": 50})]
)
def test_a_corpus_shorter_than_a_window_is_one_clear_line(num_tokens, given):
    with pytest.raises(TextError, match=f"{num_tokens:,} tokens, too few"):
        make_plan({"steps": 1, **given}, facts(num_tokens), never)


@pytest.mark.parametrize(
    ("given", "softmax"),
    [
        ({}, "adaptive"),
        ({"softmax": "full"}, "full"),
        ({"softmax": "adaptive"}, "adaptive"),
        ({"softmax_cutoffs": (100, 500)}, "adaptive"),
        ({"softmax": "adaptive", "softmax_cutoffs": (100, 500)}, "adaptive"),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", ["word", "char"])
def test_softmax_is_as_given_or_by_the_vocabulary(level, given, softmax):
    known = facts(vocab_size=20_000, level=level)

    model = make_plan({"steps": 1, **given}, known, never).model

    expected = "full" if not given and level == "char" else softmax
    assert model.softmax == expected
    assert bool(model.softmax_cutoffs) == (expected == "adaptive")
    assert model.softmax_cutoffs == given.get("softmax_cutoffs", model.softmax_cutoffs)


def test_cutoffs_beside_a_full_softmax_are_one_clear_line():
    with pytest.raises(ConfigError, match="softmax_cutoffs have no effect on a full softmax"):
        make_plan({"steps": 1, "softmax": "full", "softmax_cutoffs": (5, 9)}, facts(), never)


def reasons(given, **known):
    return " | ".join(make_plan({"steps": 100, **given}, facts(**known), never).reasons)


@pytest.mark.parametrize(
    ("known", "setting", "said"),
    [
        ({"level": "word", "vocab_size": 20_000}, {"softmax": "adaptive"}, "adaptive softmax: "),
        ({"level": "word", "vocab_size": 20_000}, {"softmax_cutoffs": (9, 99)}, "adaptive soft"),
        ({"num_tokens": 20_000}, {"batch_size": 2}, "streams: so short a text"),
        ({"has_bfloat16": True}, {"precision": "bfloat16"}, "bfloat16: this device computes in it"),
        ({}, {"dropout": 0.2}, "the text is seen"),
    ],
    ids=str,
)
def test_reasons_are_given_for_what_the_plan_chose_and_for_nothing_else(known, setting, said):
    assert said in reasons({}, **known)
    assert said not in reasons(setting, **known)


def test_reasons_that_do_not_hold_are_not_given():
    said = reasons({"hidden_size": 32}, level="char", num_tokens=10**7, has_bfloat16=True)

    assert not any(word in said for word in ("adaptive", "streams", "bfloat16"))


def test_wider_models_that_got_too_few_steps_are_named_and_the_chosen_one_is_not():
    plan = make_plan({"time": "1m"}, facts(10_000_000), machine(2e11))
    hopeless = make_plan({"time": "2s"}, facts(10_000_000), machine(2e11))

    for found in (plan, hopeless):
        units = [r.split()[0] for r in found.reasons if "units would get" in r]
        wider = [s for s in rules.HIDDEN_SIZES if s > found.model.hidden_size]
        assert units == [str(size) for size in wider]
    assert hopeless.model.hidden_size == min(rules.HIDDEN_SIZES)


def test_of_a_width_that_was_given_no_other_is_spoken_of():
    plan = make_plan({"time": "8s", "hidden_size": 300}, facts(10_000_000), machine(2e11))

    assert plan.training.steps < rules.MIN_STEPS
    assert plan.model.hidden_size == 300
    assert not any("units" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    ("given", "learning_rate", "clip_norm"),
    [
        ({"optimizer": "sgd"}, 5.0, 5.0),
        ({"optimizer": "sgd", "learning_rate": 1.5}, 1.5, 5.0),
        ({"optimizer": "sgd", "clip_norm": 0.5}, 5.0, 0.5),
        ({"optimizer": "sgd", "clip_value": 5.0}, 5.0, None),
    ],
    ids=str,
)
def test_sgd_has_rates_of_its_own(given, learning_rate, clip_norm):
    training = make_plan({"steps": 1, **given}, facts(), never).training

    assert (training.learning_rate, training.clip_norm) == (learning_rate, clip_norm)


@pytest.mark.parametrize("accumulation_steps", [1, 2, 5])
def test_accumulation_makes_epochs_of_fewer_steps(accumulation_steps):
    given, known = {"accumulation_steps": accumulation_steps}, facts()

    by_steps = make_plan({"steps": 100, **given}, known, never)
    by_epochs = make_plan({"epochs": 3, **given}, known, never)

    once = make_plan({"steps": 100}, known, never)
    assert by_steps.num_epochs == pytest.approx(accumulation_steps * once.num_epochs)
    assert by_epochs.training.steps == -(
        -3 * known.num_windows(once.training) // accumulation_steps
    )


@pytest.mark.parametrize("time", ["1m", "8h"])
def test_accumulation_fits_fewer_and_longer_steps_into_the_time(time):
    given = {"time": time, "hidden_size": 128}

    once, often = (
        make_plan({**given, "accumulation_steps": n}, facts(), machine()) for n in (1, 4)
    )

    assert often.step_seconds == pytest.approx(4 * once.step_seconds)
    assert often.training.steps == pytest.approx(once.training.steps / 4, rel=0.02)
    assert often.num_epochs == pytest.approx(once.num_epochs, rel=0.02)
    assert often.expected_seconds == pytest.approx(once.expected_seconds, rel=0.02)


def pace(step_seconds=0.1, spent_seconds=0.0, **given):
    known = facts()
    training = plan_training(given, known, make_plan({"steps": 1}, known, never).model)
    return find_pace(given, known, training, step_seconds, spent_seconds)


def test_validation_costs_a_third_of_training_on_as_many_tokens():
    windows = 50_000 / (32 * 64)  # of the validation part

    assert pace().valid_seconds == pytest.approx(windows * 0.1 / 3)
    assert pace(0.4, accumulation_steps=4).valid_seconds == pytest.approx(pace().valid_seconds)


@pytest.mark.parametrize("averaging", ["ema", "tail", "triggered"])
def test_averages_are_tried_beside_the_raw_weights_for_twice_the_time(averaging):
    assert pace(averaging=averaging).valid_seconds == pytest.approx(2 * pace().valid_seconds)
    assert pace(averaging=averaging, time="8h").steps < pace(time="8h").steps


@pytest.mark.parametrize("time", ["20s", "5m", "8h"])
def test_steps_and_validations_fill_the_time_and_no_more(time):
    found = pace(time=time, spent_seconds=3.0)

    taken = 3 + found.steps * 0.1 + found.validations * found.valid_seconds
    assert 0.95 * parse_time(time) - 1 < taken < parse_time(time)
    assert found.validations == 1 or (
        found.validations * found.valid_seconds <= 0.1 * parse_time(time)
    )


@pytest.mark.parametrize(("time", "spent_seconds"), [("5m", 400.0), ("1s", 0.5), ("10s", 6.0)])
def test_a_time_too_short_for_a_step_says_what_takes_it(time, spent_seconds, monkeypatch):
    monkeypatch.setattr("charlm.training.pace.time.monotonic", lambda: 0.0)
    known = facts(spent_seconds=spent_seconds, num_valid_tokens=4 * 32 * 64)

    with pytest.raises(ConfigError) as error:
        make_plan({"time": time}, known, lambda model, training, seconds: 3.0)

    assert str(error.value) == (
        f"--time {time} is too short: here a step takes 3 s, a validation 4 s, and reading and "
        f"measuring took {spent_seconds:.2g} s; give more time or a smaller --hidden-size."
    )


def test_a_plan_says_how_many_parameters_and_how_much_memory():
    given = {"steps": 5, "hidden_size": 24, "num_layers": 2, "averaging": "ema", "cell": "gru"}

    plan = make_plan(given, facts(), never)

    built = LanguageModel(plan.model)
    assert plan.num_parameters == sum(weight.numel() for weight in built.parameters())
    assert plan.memory_bytes == memory_bytes(plan.model, plan.training)


def test_a_plan_by_steps_or_epochs_expects_no_time():
    for length in ({"steps": 5}, {"epochs": 0.5}):
        plan = make_plan(length, facts(), never)
        assert (plan.expected_seconds, plan.step_seconds, plan.why) == (None, None, "as asked")


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({"last_hidden_size": 24}, (24, (512, 24), True)),
        ({"hidden_size": 48, "last_hidden_size": 24}, (24, (48, 24), True)),
        ({"hidden_size": 48, "embedding_size": 48, "last_hidden_size": 24}, (48, (48, 24), False)),
        ({"embedding_size": 24}, (24, (512, 512), False)),
        ({"embedding_size": 24, "last_hidden_size": 24}, (24, (512, 24), True)),
        ({"hidden_size": 48, "tie_embeddings": False}, (48, (48, 48), False)),
    ],
    ids=str,
)
def test_embeddings_follow_the_last_layer_where_no_size_is_given(given, sizes):
    model = make_plan({"steps": 1, "num_layers": 2, **given}, facts(), never).model

    assert (model.embedding_size, model.layer_sizes, model.tie_embeddings) == sizes


def test_every_regulariser_given_is_taken():
    given = {
        "num_layers": 2,
        "mogrifier_steps": 2,
        "dropout": 0.1,
        "hidden_dropout": 0.2,
        "input_dropout": 0.3,
        "embedding_dropout": 0.4,
        "weight_dropout": 0.5,
        "weight_decay": 0.6,
        "activation_penalty": 2.0,
        "temporal_activation_penalty": 1.0,
        "variable_bptt": True,
        "partial_shuffle": True,
        "optimizer": "muon",
        "schedule": "constant",
        "decay_share": 0.7,
        "averaging": "tail",
        "average_share": 0.8,
    }

    plan = make_plan({"time": "5m", **given}, facts(), machine())

    for name, value in given.items():
        assert getattr(plan.model if hasattr(plan.model, name) else plan.training, name) == value


def test_words_seen_often_are_regularised_in_more_ways_unless_dropout_is_taken_in_hand():
    known = facts(level="word")
    model = make_plan({"epochs": 10}, known, never).model
    own = make_plan({"epochs": 10, "dropout": 0.4}, known, never).model
    some = make_plan({"epochs": 10, "weight_dropout": 0.1}, known, never).model

    assert model.weight_dropout > 0 and model.embedding_dropout > 0
    assert own.dropouts == "dropout 0.4"
    assert some.weight_dropout == 0.1
    assert (some.dropout, some.embedding_dropout) == (model.dropout, model.embedding_dropout)
