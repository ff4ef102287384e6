import pytest

from charlm.errors import ConfigError, TextError
from charlm.training import Facts, make_plan, parse_time


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

    def measure(model, training):
        weights = 8 * model.hidden_size**2 * model.num_layers
        return 6 * weights * training.batch_size * training.bptt / flops_per_second

    return measure


def never(model, training):
    raise AssertionError("nothing needs measuring")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("1h30m", 5400), ("1d", 86400)]
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "0s", "-5m", "5m3", "five"])
def test_what_is_no_time_is_one_clear_line(text):
    with pytest.raises(ConfigError, match="--time must look like"):
        parse_time(text)


@pytest.mark.parametrize("time", ["30s", "5m", "1h"])
@pytest.mark.parametrize("num_tokens", [2_000, 100_000, 1_000_000, 50_000_000])
def test_the_plan_keeps_to_the_time(time, num_tokens):
    plan = make_plan({"time": time}, facts(num_tokens), machine())

    assert plan.expected_seconds <= parse_time(time)
    assert plan.training.warmup_steps < plan.training.steps
    assert plan.training.valid_every <= plan.training.steps


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


@pytest.mark.parametrize(("epochs", "dropout"), [(5, 0.2), (18, 0.5)])
def test_a_text_seen_often_is_learnt_with_more_dropout(epochs, dropout):
    assert make_plan({"epochs": epochs}, facts(), never).model.dropout == dropout
    assert make_plan({"epochs": epochs, "dropout": 0.1}, facts(), never).model.dropout == 0.1


def test_the_time_that_measuring_takes_is_part_of_the_budget(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("charlm.training.plan.time.monotonic", lambda: now[0])

    def slow(model, training):
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
