"""`charlm eval`, as it is met: figures of a text, of several, of several models; or why not."""

import gzip
import json
import math
import re
import shutil
from itertools import permutations

import pytest

from charlm.api import load
from charlm.cli.evaluate import checkpoints_and_texts
from charlm.errors import CheckpointError
from charlm.ngram import build_kneser_ney
from charlm.training import find_part

KEYS = [
    *("perplexity", "perplexity_excluding_other", "ppl1"),
    *("nats_per_token", "bits_per_token", "bits_per_char", "bits_per_byte", "total_nats"),
    *("num_tokens", "num_other", "num_words", "num_chars", "num_bytes"),
    *("other_rate", "standard_error", "fingerprint"),
]
SUMS = ["total_nats", "num_tokens", "num_other", "num_words", "num_chars", "num_bytes"]
TEXTS = {
    "a.txt": b"The fox sat down.\n\nIt was cold.\n" * 3,
    "b.txt": b"The hen \xf0\x9f\x98\x80\r\n\r\nsat",
    "c.txt": b"x",
}


@pytest.fixture
def here(tmp_path, charlm):
    """The test's own folder, with some texts."""
    for name, content in TEXTS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def own(models, tmp_path):
    """A function from a level to a checkpoint of its own under checkpoints/, and its name."""

    def copy(level, name=None):
        shutil.copytree(models(level), tmp_path / "checkpoints" / (name or level))
        return name or level

    return copy


def beside_other(err):
    """What is said on stderr, but for the notes that much of a text is `<other>`."""
    return "".join(line for line in err.splitlines(True) if "are <other>:" not in line)


def content_of(result):
    """What --json says, where all went well."""
    assert (result.status, beside_other(result.err)) == (0, "")
    return json.loads(result.out)


def said(result):
    """What is wrong: one line on stderr, status 1, nothing on stdout."""
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: ")
    return result.err


# --- one text


def test_json_has_all_measures_by_name(charlm, models):
    assert list(content_of(charlm("eval", models("word"), "--json"))) == KEYS


def test_perplexity_alone_is_one_number(charlm, models):
    content = content_of(charlm("eval", models("word"), "--json"))

    found = charlm("eval", models("word"), "--perplexity")

    assert found.out == f"{content['perplexity']:.4f}\n"


def test_the_table_names_measures_values_and_meanings(charlm, models):
    out = charlm("eval", models("word"), "--split", "valid").out

    assert out.startswith(f"{models('word')} on its valid split\n")
    for key in KEYS:
        assert key in out


def test_a_named_text_is_measured_by_the_newest_model_or_a_named_one(trained, corpus):
    newest = trained("eval", corpus, "--json").out
    named = trained("eval", "tale", corpus, "--json").out
    by_option = trained("eval", "--text", corpus, "--json").out

    assert newest == named == by_option
    assert json.loads(named)["num_chars"] == 8000


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_is_the_test_split_unless_another_is_named(charlm, models, split):
    lm = load(models("word"), "cpu")

    found = content_of(charlm("eval", models("word"), "--split", split, "--json"))

    assert found["total_nats"] == lm.evaluate_split(split).total_nats
    if split == "test":
        assert found == content_of(charlm("eval", models("word"), "--json"))


def test_a_text_is_the_same_packed_or_from_standard_input(charlm, models, here, stdin):
    (here / "a.txt.gz").write_bytes(gzip.compress(TEXTS["a.txt"]))
    stdin(TEXTS["a.txt"])

    plain, packed, piped = (
        charlm("eval", models("char"), name, "--json") for name in ("a.txt", "a.txt.gz", "-")
    )

    assert content_of(plain) == content_of(packed) == content_of(piped)


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
@pytest.mark.parametrize(
    ("text", "num_chars", "num_bytes", "num_words"),
    [
        ("fox", 3, 3, 1),  # without a last line break
        ("The fox\r\nsat.\r\n", 15, 15, 3),
        ("A 😀 fox\n", 8, 11, 3),
        ("\n\nfox\n\n\n", 8, 8, 1),
        ("fox\x00\ta\x0bb\n", 9, 9, 3),
    ],
)
def test_every_character_counts(charlm, models, here, level, text, num_chars, num_bytes, num_words):
    (here / "t.txt").write_bytes(text.encode())

    found = content_of(charlm("eval", models(level), "t.txt", "--json"))

    counts = [found[name] for name in ("num_chars", "num_bytes", "num_words")]
    assert counts == [num_chars, num_bytes, num_words]
    assert found["bits_per_char"] * num_chars == pytest.approx(found["total_nats"] / math.log(2))


def test_frame_and_context_change_the_figures_and_their_terms(charlm, models, here):
    found = [
        content_of(charlm("eval", models("word"), "a.txt", "--json", *terms))
        for terms in ([], ["--frame", "document"], ["--context", "frame"])
    ]

    assert len({each["total_nats"] for each in found}) == 3
    assert len({each["fingerprint"] for each in found}) == 3


def test_a_figure_that_is_none_is_null(charlm, models, here):
    (here / "stop.txt").write_text("☃")

    found = content_of(charlm("eval", models("word"), "stop.txt", "--frame", "line", "--json"))

    assert found["other_rate"] == 0.5
    assert content_of(charlm("eval", models("char"), "c.txt", "--json"))["num_tokens"] == 2


# --- several texts


@pytest.mark.parametrize("level", ["char", "word"])
def test_each_of_several_texts_is_measured_as_if_alone_in_any_order(charlm, models, here, level):
    alone = {name: content_of(charlm("eval", models(level), name, "--json")) for name in TEXTS}

    fingerprints = set()
    for names in permutations(TEXTS):
        found = content_of(charlm("eval", models(level), *names, "--json"))
        assert list(found) == [*KEYS, "texts"]
        assert found["texts"] == [{"text": name, **alone[name]} for name in names]
        for key in SUMS:
            assert found[key] == pytest.approx(sum(each[key] for each in alone.values()))
        fingerprints.add(found["fingerprint"])
    assert len(fingerprints) == 1


def test_several_texts_are_a_table_of_lines_and_one_of_all(charlm, models, here):
    out = charlm("eval", models("char"), "a.txt", "--text", "b.txt").out  # both are not allowed
    assert out == ""

    out = charlm("eval", models("char"), "--text", "a.txt", "--text", "b.txt").out
    assert f"{models('char')} on all texts\n" in out
    assert all(f"  {name} " in out for name in ("a.txt", "b.txt", "all texts"))


# --- several models


@pytest.mark.parametrize(
    "arguments",
    [["char", "word", "a.txt", "b.txt"], ["char", "word", "--text", "a.txt", "--text", "b.txt"]],
    ids=["by place", "by option"],
)
def test_models_are_measured_side_by_side_as_if_alone(charlm, own, here, arguments):
    own("char"), own("word")

    found = content_of(charlm("eval", *arguments, "--json"))

    for name, each in zip(("char", "word"), found["models"], strict=True):
        alone = content_of(charlm("eval", name, "a.txt", "b.txt", "--json"))
        assert each == {"model": f"checkpoints/{name}", **alone}
    (difference,) = found["differences"]
    first, second = found["models"]
    assert (difference["model"], difference["to"]) == ("checkpoints/word", "checkpoints/char")
    assert (difference["comparable"], difference["same_text"]) == (False, True)
    assert difference["nats_per_token"] is None
    bits = difference["bits_per_char"]
    assert bits["value"] == pytest.approx(second["bits_per_char"] - first["bits_per_char"])
    assert bits["low"] <= bits["value"] <= bits["high"]
    assert difference["unit"] == "lines"


def test_the_same_model_twice_does_not_differ(charlm, models, here):
    twice = (models("word"), models("word"))

    found = content_of(charlm("eval", *twice, "--split", "train", "--json"))

    (difference,) = found["differences"]
    zero = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert difference["nats_per_token"] == difference["bits_per_char"] == zero
    assert (difference["comparable"], difference["same_text"]) == (True, True)
    found = content_of(charlm("eval", *twice, "c.txt", "--json"))
    nothing = {"value": 0.0, "low": None, "high": None}  # it is too short to tell
    assert found["differences"][0]["nats_per_token"] == nothing


def test_without_a_text_both_read_the_first_models_test_split(charlm, own):
    own("word"), own("char")

    found = content_of(charlm("eval", "word", "char", "--json"))
    words, characters = found["models"]

    alone = content_of(charlm("eval", "word", "--json"))
    assert {**words, "model": None} == {**alone, "model": None}
    assert characters["num_chars"] == words["num_chars"]
    assert found["differences"][0]["same_text"]
    out = charlm("eval", "word", "char", "--split", "valid").out
    assert out.startswith("on the valid split of checkpoints/word\n")


def test_several_models_read_standard_input_each_from_its_beginning(charlm, own, stdin, here):
    own("char"), own("word")
    stdin(TEXTS["a.txt"])
    piped = content_of(charlm("eval", "char", "word", "-", "--json"))
    named = content_of(charlm("eval", "char", "word", "a.txt", "--json"))
    stdin(TEXTS["a.txt"])
    out = charlm("eval", "char", "word", "-").out

    assert piped == named
    assert out.startswith("on standard input\n")
    assert "tmp" not in out


def test_perplexities_of_several_models_are_a_line_each(charlm, own, here):
    own("char"), own("word")

    found = charlm("eval", "char", "word", "a.txt", "--perplexity").out

    alone = [charlm("eval", name, "a.txt", "--perplexity").out for name in ("char", "word")]
    assert found == "".join(alone)


@pytest.mark.parametrize(
    ("names", "compare"),
    [
        (["word", "word"], True),
        (["word"], True),
        (["word", "--baseline", 2], True),
        (["char", "word"], False),
        (["word", "word", "char"], False),
        (["word", "char", "word"], False),
    ],
    ids=str,
)
def test_perplexities_that_do_not_compare_come_with_a_note(charlm, own, here, names, compare):
    own("char"), own("word")

    result = charlm("eval", *names, "--text", "a.txt", "--perplexity")

    assert result.status == 0
    assert all(float(line) > 1 for line in result.out.splitlines())
    assert ("these perplexities do not compare" in result.err) == (not compare)
    assert beside_other(result.err).count("\n") == (not compare)


@pytest.mark.parametrize(("num_lines", "told"), [(9, False), (10, True)])
def test_a_text_of_few_lines_is_too_short_to_tell(charlm, own, here, num_lines, told):
    own("char"), own("word")
    (here / "few.txt").write_text("the fox\n" * num_lines)

    out = charlm("eval", "char", "word", "few.txt").out

    assert ("the text is too short to tell" in out) == (not told)


def test_a_file_with_a_checkpoints_name_is_a_text_after_a_checkpoint(charlm, own, here):
    own("char"), own("word")
    (here / "word").write_bytes(TEXTS["a.txt"])

    found = content_of(charlm("eval", "char", "word", "--json"))
    assert found == content_of(charlm("eval", "char", "a.txt", "--json"))
    by_option = content_of(charlm("eval", "char", "--text", "word", "--json"))
    assert by_option == found
    both = content_of(charlm("eval", "char", "word", "--text", "word", "--json"))
    assert [each["model"] for each in both["models"]] == ["checkpoints/char", "checkpoints/word"]


@pytest.mark.parametrize(
    ("names", "texts", "expected"),
    [
        ([], [], ([], [])),
        ([], ["a.txt"], ([], ["a.txt"])),
        (["char"], [], (["char"], [])),
        (["a.txt"], [], ([], ["a.txt"])),
        (["-"], [], ([], ["-"])),
        (["memory://x"], [], ([], ["memory://x"])),
        (["char", "word"], [], (["char", "word"], [])),
        (["char", "word", "a.txt", "char"], [], (["char", "word"], ["a.txt", "char"])),
        (["char", "a.txt", "word"], [], (["char"], ["a.txt", "word"])),
        (["char", "missing.txt"], [], (["char"], ["missing.txt"])),
        (["a.txt", "char"], [], ([], ["a.txt", "char"])),
        (["nothing"], ["a.txt"], (["nothing"], ["a.txt"])),
    ],
)
def test_names_are_checkpoints_first_and_then_texts(own, here, names, texts, expected):
    own("char"), own("word")

    checkpoints, found = checkpoints_and_texts(names, texts)

    assert ([str(each) for each in checkpoints], found) == expected


@pytest.mark.parametrize("names", [["nothing"], ["nothing", "char"]])
def test_a_first_name_that_is_nothing_is_told(own, here, names):
    own("char")

    with pytest.raises(CheckpointError, match=f"{names[0]} is neither a checkpoint nor a text"):
        checkpoints_and_texts(names, [])


# --- a baseline


def test_a_baseline_is_kneser_neys_of_the_training_tokens(charlm, models):
    checkpoint = load(models("word"), "cpu").checkpoint
    tokenizer = checkpoint.tokenizer
    train, test = (find_part(checkpoint, part) for part in ("train", "test"))
    size, start = tokenizer.vocab_size, tokenizer.start_id
    model = build_kneser_ney(train.tokens, order=3, vocab_size=size, start_id=start)

    found = content_of(charlm("eval", models("word"), "--baseline", 3, "--json"))

    network, baseline = found["models"]
    assert (network["model"], baseline["model"]) == (str(models("word")), "3-gram")
    assert baseline["total_nats"] == pytest.approx(-model.log_probs(test.tokens).sum())
    assert network["num_tokens"] == baseline["num_tokens"]
    (difference,) = found["differences"]
    assert difference["comparable"]
    nats = difference["nats_per_token"]
    assert nats["value"] == pytest.approx(baseline["nats_per_token"] - network["nats_per_token"])


def test_a_baseline_reads_what_the_network_reads(charlm, models, here):
    terms = ("--frame", "line", "--context", "frame")

    found = content_of(charlm("eval", models("word"), "a.txt", *terms, "--baseline", 2, "--json"))

    network, baseline = found["models"]
    alone = content_of(charlm("eval", models("word"), "a.txt", *terms, "--json"))
    assert network == {"model": str(models("word")), **alone}
    assert baseline["fingerprint"] == network["fingerprint"]


# --- other programs' formats


@pytest.mark.parametrize("level", ["char", "word"])
def test_kenlms_lines_have_the_numbers_of_json(charlm, models, here, level):
    content = content_of(charlm("eval", models(level), "a.txt", "b.txt", "--json"))

    out = charlm("eval", models(level), "a.txt", "b.txt", "--format", "kenlm").out

    including, excluding, others, tokens = re.fullmatch(
        r"Perplexity including OOVs:\t(\S+)\nPerplexity excluding OOVs:\t(\S+)\n"
        r"OOVs:\t(\d+)\nTokens:\t(\d+)\n",
        out,
    ).groups()
    assert float(including) == pytest.approx(content["perplexity"], rel=5e-6)
    assert float(excluding) == pytest.approx(content["perplexity_excluding_other"], rel=5e-6)
    assert (int(others), int(tokens)) == (content["num_other"], content["num_tokens"])


def test_srilms_lines_have_the_numbers_of_json_a_pair_of_lines_a_text(charlm, models, here):
    content = content_of(charlm("eval", models("word"), "a.txt", "b.txt", "--json"))

    out = charlm("eval", models("word"), "a.txt", "b.txt", "--format", "srilm").out

    found = re.findall(
        r"^file (\S+): (\d+) sentences, (\d+) words, 0 OOVs\n"
        r"0 zeroprobs, logprob= (\S+) ppl= (\S+) ppl1= (\S+)$",
        out,
        re.MULTILINE,
    )
    assert out.count("\n") == 4
    for text, (name, sentences, words, *numbers) in zip(content["texts"], found, strict=True):
        logprob, ppl, ppl1 = map(float, numbers)
        assert name == text["text"]
        assert int(sentences) + int(words) == text["num_tokens"]
        assert logprob == pytest.approx(-text["total_nats"] / math.log(10), rel=5e-6)
        assert ppl == pytest.approx(text["perplexity"], rel=5e-6)
        assert ppl1 == pytest.approx(text["ppl1"], rel=5e-6)
        assert ppl == pytest.approx(10 ** (-logprob / (int(words) + int(sentences))), rel=1e-4)


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--split", "test", "tale.txt"], "--split has no effect"),
        (["--split", "test", "--text", "tale.txt"], "--split has no effect"),
        (["--frame", "line"], "--frame changes named texts only, and the test split"),
        (["--frame", "line", "--split", "train"], "and the train split of the corpus"),
        (["--frame", "line", "--cache", "--tune", "tale.txt"], "and the valid split"),
        (["--frame", "line", "--mix", "ngram:2", "tale.txt"], "and the valid split"),
        ([""], "a name is empty"),
        (["tale", ""], "a name is empty"),
        (["", "tale.txt"], "a name is empty"),
        (["--text", ""], "a name is empty"),
        (["-", "-"], "standard input can be only one text"),
        (["tale", "tale", "-", "tale.txt", "-"], "standard input can be only one text"),
        (["tale", "--text", "-", "--text", "-"], "standard input can be only one text"),
        (["--baseline", 31], "must be between 1 and 30, not 31"),
        (["--perplexity", "--json"], "exclude each other"),
        (["--format", "srilm", "--json"], "exclude each other"),
        (["--format", "srilm", "tale", "tale"], "--format srilm shows one model"),
        (["--format", "kenlm", "--baseline", 2], "leave out --baseline"),
        (["nothing"], "neither a checkpoint nor a text"),
        (["nothing", "tale.txt"], "nothing is neither a checkpoint nor a text"),
        (["checkpoints"], "checkpoints holds no text files"),
        (["tale", "missing.txt"], "missing.txt does not exist"),
        (["tale", "checkpoints"], "checkpoints holds no text files"),
        (["nothing", "--text", "tale.txt"], "there is no checkpoint nothing"),
        (["empty.txt"], "empty.txt is empty"),
        (["tale", "tale", "empty.txt"], "empty.txt is empty"),
        (["tale.txt", "empty.txt"], "empty.txt is empty"),
        (["latin.txt"], "latin.txt is not UTF-8 at byte 3"),
        (["torn.gz"], "torn.gz is damaged"),
    ],
)
def test_mistakes_are_one_line_and_status_1(charlm, own, corpus, tmp_path, arguments, what):
    own("word", "tale")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"the fox" * 99)[:-12])

    assert what in said(charlm("eval", *arguments))


@pytest.mark.parametrize("models_named", [1, 2])
@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "standard input is empty"), (b"\xff", "standard input is not UTF-8")],
)
def test_mistakes_of_standard_input_call_it_so(charlm, own, stdin, models_named, content, what):
    own("char", "tale")
    stdin(content)

    assert what in said(charlm("eval", *["tale"] * models_named, "-"))


def test_a_split_that_is_empty_says_what_to_do(charlm, corpus):
    small = ("--hidden-size", 8, "--steps", 2, "--split", "90/10/0")
    charlm("train", corpus, *small)

    assert "has no test part" in said(charlm("eval"))
    assert "has no test part; name a text with --text" in said(charlm("eval", "tale", "tale"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["private"],
        ["private", "private"],
        ["private", "--split", "valid"],
        ["tale", "--split", "train"],
        ["tale", "--baseline", 2],
        ["tale", "tale", "--split", "train"],
    ],
    ids=str,
)
def test_a_corpus_that_is_gone_is_one_clear_line(trained, corpus, monkeypatch, tmp_path, arguments):
    small = ("--hidden-size", 8, "--steps", 2, "-o", "checkpoints/private")
    assert trained("train", corpus, *small, "--no-keep-text").status == 0
    corpus.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    line = said(trained("eval", *arguments))
    text = {"private": "test", "tale": "training"}[arguments[0]]
    text = "validation" if "valid" in arguments else text
    assert f"{arguments[0]} does not keep its {text} text: " in line
    assert "trained on is needed" in line and "tale.txt does not exist" in line


LABELLED = "\n".join(f"{'ab'[i % 2]}\tnote {i} of {'xy'[i % 2] * 9}" for i in range(300))


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        ("tale.txt", None, []),
        ("tale.txt", None, ["--level", "word", "--direction", "backward"]),
        ("tale.txt", None, ["--level", "byte", "--frame", "line", "--independent-frames"]),
        ("-", None, ["--level", "bpe", "--vocab-size", 300, "--frame", "paragraph"]),
        ("notes.tsv", LABELLED, ["--label", "state"]),
        ("tale.txt", None, ["--valid", "more.txt", "--test", "more.txt"]),
    ],
    ids=str,
)
def test_a_moved_checkpoint_repeats_its_figures(
    charlm, corpus, stdin, monkeypatch, tmp_path, name, text, settings
):
    if text is not None:
        (tmp_path / name).write_text(text)
    (tmp_path / "more.txt").write_bytes(b"\xef\xbb\xbfThe fox ate the moon.\r\nAnd then?\r\n")
    stdin(corpus.read_bytes())
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16, "--steps", 4, "-o", "run")
    assert charlm("train", name, *small, *settings).status == 0
    arguments = [[], ["--split", "valid"]]
    before = [charlm("eval", "run", *more, "--json").out for more in arguments]
    assert all(json.loads(out)["num_tokens"] for out in before)

    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    (tmp_path / "run").rename(elsewhere / "run")
    (elsewhere / "tale.txt").write_text("another text of this name")
    for path in tmp_path.glob("*.t*"):
        path.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(elsewhere)

    for more, expected in zip(arguments, before, strict=True):
        assert charlm("eval", "run", *more, "--json").out == expected


def test_a_model_of_standard_input_has_the_text_it_keeps_for_others(charlm, stdin, tale):
    stdin(tale.encode())
    small = ("--hidden-size", 8, "--steps", 2)
    assert charlm("train", "-", *small).status == 0
    stdin(tale.encode())
    assert charlm("train", "-", *small, "-o", "private", "--no-keep-text").status == 0
    stdin(b"what another program says")

    for name in ("stdin", "private"):
        assert content_of(charlm("eval", name, "--json"))["num_chars"] > 100
    assert charlm("eval", "stdin", "private").status == 0
    assert "trained on standard input, which is no longer there" in said(
        charlm("eval", "private", "stdin")
    )


def test_a_text_that_is_mostly_other_is_noted(models, here, charlm):
    (here / "han.txt").write_text("很书她家里你看走路" * 9, encoding="utf-8")

    result = charlm("eval", models("word"), "a.txt", "han.txt")

    notes = [line for line in result.err.splitlines() if "<other>" in line]
    assert result.status == 0
    assert len(notes) == 1
    assert notes[0].startswith("99% of the tokens of han.txt are <other>: perplexity means little")
