"""Decoding settings are checked once, when they are named."""

import math
from dataclasses import FrozenInstanceError, fields

import pytest

from charlm.decoding import DecodingConfig, check_effective
from charlm.errors import ConfigError

MODES = {
    "sampling": {},
    "sampling without replacement": {"without_replacement": True},
    "greedy": {"greedy": True},
    "beam": {"beam": 4},
    "exhaustive": {"exhaustive": True},
}
DRAWS = {"sampling", "sampling without replacement"}
ACTIVE = {  # a value that is not the default, and the modes that read it
    "temperature": (0.5, DRAWS),
    "top_k": (5, DRAWS),
    "top_p": (0.9, DRAWS),
    "min_p": (0.1, DRAWS),
    "typical_p": (0.9, DRAWS),
    "num_return_sequences": (2, DRAWS | {"beam", "exhaustive"}),
    "length_penalty": (0.5, {"beam", "exhaustive"}),
    "early_stopping": (True, {"beam"}),
    "num_beam_groups": (2, {"beam"}),
    "diversity_penalty": (0.5, {"beam"}),
}
EVERYWHERE = {
    "max_new_tokens": 9,
    "min_new_tokens": 3,
    "stop": ("\n",),
    "repetition_penalty": 1.2,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "no_repeat_ngram_size": 3,
    "ban": ("moon",),
    "bias": {"fox": 1.0},
    "allow_other": True,
}


def error_of(**settings):
    """The one line that says what is wrong."""
    with pytest.raises(ConfigError) as caught:
        DecodingConfig(**settings)
    (line,) = str(caught.value).splitlines()
    assert line.endswith(".")
    return line


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
@pytest.mark.parametrize(
    "name", ["max_new_tokens", "top_k", "beam", "num_beam_groups", "num_return_sequences"]
)
def test_counts_are_whole_numbers_of_at_least_one(name, value):
    message = f"{name} must be a whole number of at least 1, not {value!r}."

    assert error_of(**{name: value}) == message


@pytest.mark.parametrize("value", [-1, 0.5, False])
@pytest.mark.parametrize("name", ["min_new_tokens", "no_repeat_ngram_size"])
def test_counts_of_what_need_not_be_are_at_least_zero(name, value):
    assert f"{name} must be a whole number of at least 0, not {value!r}" in error_of(
        **{name: value}
    )


RANGES = {
    "temperature": (0.0, 1e300, [-0.1]),
    "top_p": (1e-300, 1.0, [0.0, -0.1, 1.001]),
    "typical_p": (1e-300, 1.0, [0.0, -0.1, 1.001]),
    "min_p": (0.0, 1.0, [-0.1, 1.001]),
    "repetition_penalty": (1e-4, 1e4, [0.0, -1.0, 1.1e4]),
    "presence_penalty": (-1e4, 1e4, [-1.1e4, 1.1e4]),
    "frequency_penalty": (-1e4, 1e4, [-1.1e4, 1.1e4]),
    "length_penalty": (-10.0, 10.0, [-10.1, 11.0]),
    "diversity_penalty": (0.0, 1e4, [-0.1, 1.1e4]),
}
IN_BEAMS = {
    "length_penalty": {"beam": 4},
    "diversity_penalty": {"beam": 4, "num_beam_groups": 2},
}


@pytest.mark.parametrize("name", RANGES)
def test_numbers_outside_their_range_are_refused(name):
    _, _, outside = RANGES[name]

    for value in (*outside, math.inf, -math.inf, math.nan):
        assert error_of(**IN_BEAMS.get(name, {}), **{name: value}).startswith(f"{name} must be ")


@pytest.mark.parametrize("name", [name for name in RANGES if name != "diversity_penalty"])
def test_the_ends_of_a_range_belong_to_it(name):
    for value in RANGES[name][:2]:
        assert getattr(DecodingConfig(**IN_BEAMS.get(name, {}), **{name: value}), name) == value


def test_the_largest_diversity_penalty_is_allowed():
    assert DecodingConfig(beam=4, num_beam_groups=2, diversity_penalty=1e4).diversity_penalty == 1e4


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.1e4])
def test_a_bias_is_a_number_that_a_logit_may_have(value):
    assert "the bias of 'fox' must be from -10,000 to 10,000" in error_of(bias={"fox": value})


@pytest.mark.parametrize("settings", [{"stop": ("a", "")}, {"ban": ("",)}, {"bias": {"": 1.0}}])
def test_the_empty_text_stops_bans_and_favours_nothing(settings):
    assert "not an empty one" in error_of(**settings)


def test_a_text_is_at_least_as_long_as_it_must_be():
    assert DecodingConfig(min_new_tokens=7, max_new_tokens=7).min_new_tokens == 7
    assert "at most max_new_tokens, 6, not 7" in error_of(min_new_tokens=7, max_new_tokens=6)


@pytest.mark.parametrize("mode", MODES)
def test_each_choice_makes_its_mode(mode):
    assert DecodingConfig(**MODES[mode]).mode == mode


@pytest.mark.parametrize("temperature", [0, 0.0, -0.0])
def test_a_temperature_of_zero_is_greedy(temperature):
    assert DecodingConfig(temperature=temperature).mode == "greedy"


def test_a_temperature_near_zero_is_still_sampling():
    assert DecodingConfig(temperature=5e-324).mode == "sampling"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("exhaustive", "beam"),
        ("exhaustive", "without_replacement"),
        ("exhaustive", "greedy"),
        ("beam", "without_replacement"),
        ("beam", "greedy"),
        ("without_replacement", "greedy"),
    ],
)
def test_two_modes_exclude_each_other(first, second):
    settings = {"exhaustive": True, "beam": 3, "without_replacement": True, "greedy": True}

    message = error_of(**{name: settings[name] for name in (first, second)})

    first, second = first.replace("_", "-"), second.replace("_", "-")
    assert message == f"--{first} and --{second} exclude each other."


@pytest.mark.parametrize(
    "other", [{"beam": 3}, {"exhaustive": True}, {"without_replacement": True}]
)
def test_a_temperature_of_zero_is_a_mode_too(other):
    assert error_of(temperature=0.0, **other)


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("mode", MODES)
def test_a_setting_without_effect_is_a_contradiction(mode, name):
    value, modes = ACTIVE[name]
    settings = MODES[mode] | {name: value}
    if name in ("num_beam_groups", "diversity_penalty"):
        settings = {"num_beam_groups": 2, "diversity_penalty": 0.5} | settings

    if mode in modes:
        assert getattr(DecodingConfig(**settings), name) == value
    else:
        assert "has no effect in" in error_of(**settings)


@pytest.mark.parametrize("mode", MODES)
def test_settings_of_every_mode_contradict_none(mode):
    config = DecodingConfig(**MODES[mode], **EVERYWHERE)

    assert {name: getattr(config, name) for name in EVERYWHERE} == EVERYWHERE


@pytest.mark.parametrize("mode", MODES)
def test_a_setting_at_its_default_contradicts_nothing(mode):
    default = DecodingConfig()
    named = {f.name: getattr(default, f.name) for f in fields(DecodingConfig)}

    assert DecodingConfig(**named | MODES[mode]).mode == mode


def test_messages_name_the_flag_the_mode_and_where_the_setting_belongs():
    assert error_of(greedy=True, top_k=5) == (
        "--top-k has no effect in greedy decoding; it is for sampling."
    )
    assert error_of(beam=3, temperature=0.5) == (
        "--temperature has no effect in beam search; it is for sampling."
    )
    assert error_of(num_beam_groups=2, diversity_penalty=1.0) == (
        "--beam-groups has no effect in sampling; it is for beam search."
    )


@pytest.mark.parametrize("settings", [{"num_beam_groups": 2}, {"diversity_penalty": 0.5}])
def test_groups_and_what_makes_them_differ_need_each_other(settings):
    assert "need each other" in error_of(beam=4, **settings)


def test_groups_share_the_beams_equally():
    message = error_of(beam=4, num_beam_groups=3, diversity_penalty=0.5)

    assert message == "a beam of 4 cannot be split into 3 equal groups."


def test_a_beam_ends_with_as_many_texts_as_it_is_wide():
    assert DecodingConfig(beam=3, num_return_sequences=3).num_return_sequences == 3
    assert "a beam of 3 ends with 3 texts, not 4" in error_of(beam=3, num_return_sequences=4)


@pytest.mark.parametrize("greedy", [{"greedy": True}, {"temperature": 0.0}])
def test_greedy_decoding_has_one_result(greedy):
    message = error_of(num_return_sequences=2, **greedy)

    assert "--num-return-sequences has no effect in greedy decoding" in message


@pytest.mark.parametrize("mode", MODES)
def test_what_is_given_must_have_an_effect_even_at_its_default(mode):
    for name, modes in {
        "seed": DRAWS,
        **{name: modes for name, (_, modes) in ACTIVE.items()},
    }.items():
        if mode in modes:
            check_effective(mode, ["max_new_tokens", name])
        else:
            with pytest.raises(ConfigError, match="has no effect in"):
                check_effective(mode, ["max_new_tokens", name])


@pytest.mark.parametrize("mode", MODES)
def test_what_every_mode_reads_may_always_be_given(mode):
    check_effective(mode, [*EVERYWHERE, "greedy", "beam", "exhaustive", "without_replacement"])


def test_a_config_does_not_change():
    config = DecodingConfig()

    with pytest.raises(FrozenInstanceError):
        config.beam = 2
