"""Words: the top N by frequency, prose in and out, and corpora that come split."""

import re
from collections import Counter

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text.loading import parse_tokenizer
from charlm.text.words import WordTokenizer, batches, word_backend

EVERYTHING = 10**6
PROSE = [
    'The fox (who was old) said: "Go home!" Then it slept.',
    "Well, it's 3.14, isn't it? 1,000 times: yes; no!",
    "“Don’t,” she said; “I can’t.”",  # noqa: RUF001
    '"One" and "two", said he ("three"?).',
    "[1] {a} is 50% done… yes",
    "Der Käse — 朝 — naïve",
    "很书她家里你看走路！他说：“好”，老师（猫）来了……明天",  # noqa: RUF001
    "2024年に、東京のカフェで「コーヒー」を3杯。",
    "I like 猫 and 犬, not T 恤.",
    "كَتَبَ الوَلَدُ، ثُمَّ ذَهَبَ؟",
]
# The words of tokenizers before Han and kana were split.
OLD_WORD = r"\d+(?:[.,]\d+)*(?!\w)|\w+(?:['’]\w+)*|[^\w\s]"  # noqa: RUF001


def split_words(text):
    tokenizer = WordTokenizer.build([text], EVERYTHING)
    return [tokenizer.token(token) for token in tokenizer.encode(text)]


def squeezed(text):
    return "".join(text.split())


@given(texts=st.lists(st.lists(st.sampled_from("abcde,.")).map(" ".join), max_size=4))
@settings(max_examples=60)
def test_ids_fall_with_frequency_and_ties_go_by_first_appearance(texts):
    counts = Counter(" ".join(texts).split())
    seen = list(counts)
    ranked = sorted(seen, key=lambda word: (-counts[word], seen.index(word)))

    tokenizer = WordTokenizer.build(texts, EVERYTHING)

    assert [tokenizer.token(token) for token in range(tokenizer.num_symbols)] == ranked


def test_the_top_1000_words_make_a_vocabulary_of_1003():
    words = [f"w{i}" for i in range(1500)]
    text = " ".join(words + words[:1000])

    tokenizer = WordTokenizer.build([text], 1000)

    assert tokenizer.vocab_size == 1003
    assert (tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id) == (1000, 1001, 1002)
    assert tokenizer.encode(text) == [*range(1000), *[1002] * 500, *range(1000)]


def test_by_default_words_that_occur_once_are_other():
    tokenizer = WordTokenizer.build(["two one", "two three three"])

    assert tokenizer.num_symbols == 2
    assert tokenizer.encode("one two three") == [tokenizer.other_id, 0, 1]


def test_by_default_there_are_at_most_10_000_words():
    words = " ".join(f"w{i}" for i in range(10_001))

    tokenizer = WordTokenizer.build([words, words])

    assert tokenizer.num_symbols == 10_000
    assert tokenizer.encode("w9999 w10000") == [9999, tokenizer.other_id]


def test_a_text_without_words_leaves_only_the_marks():
    tokenizer = WordTokenizer.build([" \n\t"])

    assert tokenizer.vocab_size == 3
    assert tokenizer.encode("word") == [tokenizer.other_id]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The fox's den, isn't it?", ["The", "fox's", "den", ",", "isn't", "it", "?"]),
        ("don’t", ["don’t"]),  # noqa: RUF001
        ("pi is 3.14, or 1,000.", ["pi", "is", "3.14", ",", "or", "1,000", "."]),
        ("3rd 2b", ["3rd", "2b"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("wait...!", ["wait", ".", ".", ".", "!"]),
        ("well-known snake_case", ["well", "-", "known", "snake_case"]),
        ("naïve 朝 Ünal", ["naïve", "朝", "Ünal"]),
        ("<start>", ["<", "start", ">"]),
        ("a\tb\r\nc\u00a0d", ["a", "b", "c", "d"]),
        ("2024年に猫。", ["2024", "年", "に", "猫", "。"]),
        ("コーヒー人々", ["コ", "ー", "ヒ", "ー", "人", "々"]),
        ("T恤and葛\U000e0100城", ["T", "恤", "and", "葛\U000e0100", "城"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("وَشَرِبَ؟ دَرْسًا،", ["وَشَرِبَ", "؟", "دَرْسًا", "،"]),
        ("بر\u200cبر co\u00adop क्\u200dष", ["بر\u200cبر", "co\u00adop", "क्\u200dष"]),
        ("❤\ufe0f 👩\u200d👩\u200d👧👍🏽", ["❤\ufe0f", "👩\u200d👩\u200d👧", "👍🏽"]),
        ("🤷🏻\u200d♀\ufe0f 🇩🇪🇫🇷", ["🤷🏻\u200d♀\ufe0f", "🇩🇪", "🇫🇷"]),
        ("1\ufe0f\u20e3 #\ufe0f\u20e3 😂😂", ["1\ufe0f\u20e3", "#\ufe0f\u20e3", "😂", "😂"]),
    ],
)
def test_words_numbers_and_punctuation_marks_are_separate(text, words):
    assert split_words(text) == words


@given(text=st.text())
@settings(max_examples=100)
def test_a_text_comes_back_up_to_white_space(text):
    tokenizer = WordTokenizer.build([text], EVERYTHING)

    decoded = tokenizer.decode(tokenizer.encode(text))

    assert squeezed(decoded) == squeezed(text)


def test_tokenizer_json_encodes_the_same_in_hugging_face_tokenizers():
    text = "猫は2024年に walked 👩\u200d👧 here; 猫！"  # noqa: RUF001
    tokenizer = WordTokenizer.build([text], EVERYTHING)

    backend = tokenizers.Tokenizer.from_str(tokenizer.to_json())

    assert backend.encode(text, add_special_tokens=False).ids == tokenizer.encode(text)
    assert len(tokenizer.encode(text)) == 11


def test_older_tokenizer_files_keep_runs_of_han_as_words():
    text = "猫今天 跑得很，a 猫今天"  # noqa: RUF001
    backend = word_backend(
        ["猫今天", "跑得很", "a"], lowercase=False, pretokenized=False, pattern=OLD_WORD
    )

    old = parse_tokenizer(backend.to_str(), "tokenizer.json")

    assert old.encode(text) == [0, 1, old.other_id, 2, 0]
    assert old.decode([0, 1, 2, 0]) == "猫今天 跑得很 a 猫今天"


@pytest.mark.parametrize("text", PROSE)
def test_prose_comes_back_with_the_spaces_of_prose(text):
    tokenizer = WordTokenizer.build([text], EVERYTHING)

    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(words=st.lists(st.sampled_from(["fox", "moon", "(", *",.;:!?)"])))
@settings(max_examples=100)
def test_no_space_comes_before_closing_marks_or_after_an_opening_one(words):
    text = " ".join(words)
    tokenizer = WordTokenizer.build([text], EVERYTHING)

    decoded = tokenizer.decode(tokenizer.encode(text))

    assert decoded == re.sub(r"(?<=\() | (?=[,.;:!?)])", "", text)


def test_straight_quotes_open_and_close_by_turns_and_anew_in_each_frame():
    tokenizer = WordTokenizer.build(['a " b'], EVERYTHING)
    a, quote, b = tokenizer.encode('a " b')
    start, stop = tokenizer.start_id, tokenizer.stop_id

    text = tokenizer.decode([start, a, quote, b, stop, start, a, quote, b, quote, a, stop])

    assert text == 'a "b\na "b" a'


def test_a_copied_decoder_keeps_its_own_quotes_and_spaces():
    tokenizer = WordTokenizer.build(['a " b'], EVERYTHING)
    a, quote, b = tokenizer.encode('a " b')
    decoder = tokenizer.decoder()
    begun = "".join(map(decoder.push, [a, quote, b]))

    copy = decoder.copy()

    assert begun == 'a "b'
    assert "".join(map(decoder.push, [quote, quote, a])) == '" "a'
    assert "".join(map(copy.push, [a, quote, b])) == ' a" b'


def test_words_are_spelled_whole_as_they_are_folded():
    tokenizer = WordTokenizer.build(["the fox the fox"], EVERYTHING, lowercase=True)

    assert tokenizer.spell("The FOX") == (0, 1)
    assert tokenizer.spell("the moon") == (0, tokenizer.other_id)
    assert tokenizer.spell(" \n") == ()


def test_each_frame_is_a_line():
    tokenizer = WordTokenizer.build(["fox . fox ."])
    fox, dot = tokenizer.encode("fox .")
    start, stop = tokenizer.start_id, tokenizer.stop_id

    text = tokenizer.decode([start, fox, dot, stop, start, dot, fox, stop])

    assert text == "fox.\n. fox"


def test_case_is_kept_unless_it_is_folded():
    kept = WordTokenizer.build(["The the THE É é"], EVERYTHING)
    folded = WordTokenizer.build(["The the THE É é"], EVERYTHING, lowercase=True)

    assert kept.num_symbols == 5
    assert folded.num_symbols == 2
    assert folded.encode("tHE é É") == [0, 1, 1]
    assert folded.decode([0, 1]) == "the é"


def test_unknown_words_are_named_once_as_they_are_written():
    tokenizer = WordTokenizer.build(["the fox the fox"], lowercase=True)

    assert tokenizer.unknown("The Moon, the moon, the Moon") == ["Moon", ",", "moon"]


def test_pretokenized_text_is_split_at_white_space_alone():
    text = "don't U.S. <unk> 3.14 , N'T\n( x-y )"
    tokenizer = WordTokenizer.build([text], EVERYTHING, pretokenized=True)

    words = [tokenizer.token(token) for token in tokenizer.encode(text)]

    assert words == text.replace("<unk>", "<other>").split()
    assert tokenizer.pretokenized


@pytest.mark.parametrize(
    ("mark", "meaning"),
    [
        ("<unk>", "<other>"),
        ("<start>", "<other>"),
        ("<other>", "<other>"),
        ("<eos>", "<stop>"),
        ("</s>", "<stop>"),
        ("<stop>", "<stop>"),
    ],
)
@pytest.mark.parametrize("lowercase", [False, True])
def test_marks_of_a_pretokenized_text_mean_what_they_say(mark, meaning, lowercase):
    text = f"{mark} a {mark} {mark}\nb {mark}"
    tokenizer = WordTokenizer.build([text], EVERYTHING, pretokenized=True, lowercase=lowercase)

    words = [tokenizer.token(token) for token in tokenizer.encode(text)]

    assert words == [meaning, "a", meaning, meaning, "b", meaning]
    assert tokenizer.num_symbols == 2


def test_marks_inside_words_of_a_pretokenized_text_are_letters():
    text = "x<unk> <eos>. </s></s>"

    tokenizer = WordTokenizer.build([text], EVERYTHING, pretokenized=True)

    assert [tokenizer.token(token) for token in tokenizer.encode(text)] == text.split()
    assert tokenizer.num_symbols == 3


@given(
    text=st.lists(st.sampled_from(["fox", '"', ",", "(", ")", "<unk>", " ", "\n", "\t"])).map(
        " ".join
    )
)
@settings(max_examples=60)
def test_pretokenized_text_comes_back_joined_by_spaces_and_encodes_to_the_same_ids(text):
    tokenizer = WordTokenizer.build([text], EVERYTHING, pretokenized=True)
    ids = tokenizer.encode(text)

    decoded = tokenizer.decode(ids)

    assert decoded == " ".join(text.split()).replace("<unk>", "<other>")
    assert tokenizer.encode(decoded) == ids


@pytest.mark.parametrize("cuts", [[3], [1, 2], [1, 1, 1]])
def test_the_vocabulary_does_not_depend_on_how_the_text_is_batched(cuts, monkeypatch):
    texts = ["b a", "c a b d", "a"]
    whole = WordTokenizer.build([" ".join(texts)], EVERYTHING)

    def grouped(texts):
        left = list(texts)
        return [[left.pop(0) for _ in range(cut)] for cut in cuts]

    monkeypatch.setattr("charlm.text.words.batches", grouped)
    assert WordTokenizer.build(texts, EVERYTHING).to_json() == whole.to_json()


@given(texts=st.lists(st.text(max_size=5)), size=st.integers(1, 9))
@settings(max_examples=50)
def test_batches_hold_all_texts_in_order_and_none_goes_on_when_it_is_full(texts, size):
    groups = list(batches(texts, size))

    assert [text for group in groups for text in group] == texts
    assert all(sum(map(len, group[:-1])) < size for group in groups)
    assert all(sum(map(len, group)) >= size for group in groups[:-1])
