import pytest

import charlm
from charlm.decoding import DecodingConfig
from charlm.errors import CheckpointError, ConfigError


@pytest.fixture
def lm(train):
    return charlm.load(train())


def test_generate_writes_on_from_the_prompt_and_repeats_under_a_seed(lm):
    first = lm.generate("The ", seed=1, max_new_tokens=30, temperature=0.8)
    again = lm.generate("The ", seed=1, max_new_tokens=30, temperature=0.8)
    other = lm.generate("The ", seed=2, max_new_tokens=30, temperature=0.8)

    assert first == again != other
    assert first.startswith("The ")
    assert len(first) <= 34


def test_a_sample_is_the_same_however_many_are_drawn(lm):
    def texts(number):
        config = DecodingConfig(num_return_sequences=number, max_new_tokens=20)
        return [g.text for g in lm.generate_many("A", config, seed=7)]

    assert texts(1) == texts(4)[:1]
    assert len(set(texts(4))) == 4


def test_greedy_temperature_zero_and_a_beam_of_one_give_the_same_text(lm):
    greedy = lm.generate("The", greedy=True, max_new_tokens=20)

    assert lm.generate("The", temperature=0.0, max_new_tokens=20) == greedy
    assert "The" + lm.search("The", DecodingConfig(beam=1, max_new_tokens=20))[0].text == greedy


def test_a_stream_adds_up_to_the_text(lm):
    config = DecodingConfig(max_new_tokens=25)

    pieces = list(lm.stream("The", config, seed=3))

    assert len(pieces) == 25
    assert "The" + "".join(pieces) == lm.generate("The", seed=3, max_new_tokens=25)


def test_a_beam_gives_its_texts_best_first(lm):
    found = lm.search("The", DecodingConfig(beam=4, num_return_sequences=3, max_new_tokens=6))

    assert len(found) == 3
    assert [g.score for g in found] == sorted((g.score for g in found), reverse=True)


@pytest.mark.parametrize("level", ["word", "byte", "bpe"])
def test_every_level_writes_and_is_measured(train, level):
    lm = charlm.load(train(level=level))

    assert isinstance(lm.generate("The fox", seed=1, max_new_tokens=10), str)
    assert lm.evaluate("The fox sat down.").perplexity > 1


def test_bits_per_char_of_a_text_is_its_nats_over_its_characters(lm):
    result = lm.evaluate("The fox sat down.")

    assert result.num_tokens == 18  # and <stop>
    assert result.num_chars == 17
    assert result.bits_per_char == pytest.approx(result.total_nats / 0.6931471805599453 / 17)


def test_a_file_and_its_text_measure_the_same(lm, tmp_path, tale):
    path = tmp_path / "part.txt"
    path.write_text(tale[:500])

    assert lm.evaluate_files([str(path)]) == lm.evaluate(tale[:500])


def test_mistakes_are_one_clear_line(lm, tmp_path):
    with pytest.raises(ConfigError, match="unknown setting"):
        lm.generate(heat=3)
    with pytest.raises(ConfigError, match="generate_many"):
        lm.generate(num_return_sequences=2)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        charlm.load(tmp_path / "none")


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        charlm.lode  # noqa: B018
