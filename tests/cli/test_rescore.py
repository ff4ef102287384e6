"""`charlm rescore`: what is printed, in which order, and every mistake before the first line."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from charlm.api import LoadedModel, load

LISTS = [
    ("u1", -1.0, "The fox ate the man."),
    ("u2", -3.5, "said the hen"),
    ("u1", -1.25, "The fax ate th man."),
    ("u2", -3.5, "sad the hen"),
    ("u1", -4.0, ""),
]
REFERENCES = "u2\tsaid the hen\nu1\tThe fox ate the man.\n"


@pytest.fixture
def rescore(charlm, models):
    """Run `charlm rescore` with one of the models."""

    def run(*arguments, level="char"):
        return charlm("rescore", models(level), *arguments)

    return run


@pytest.fixture
def nbest(tmp_path):
    return write(tmp_path / "nbest.tsv", LISTS)


@pytest.fixture
def references(tmp_path):
    path = tmp_path / "references.tsv"
    path.write_text(REFERENCES)
    return path


def write(path, rows):
    path.write_text("".join(f"{u}\t{score}\t{text}\n" for u, score, text in rows))
    return path


def rows_of(out):
    return [line.split("\t") for line in out.splitlines()]


def expected(folder, rows, scale, bonus, length):
    """(utterance, combined, text, score, log P), best first, from the model itself."""
    log_probs = load(folder, "cpu").log_probs([text.strip() for _, _, text in rows])
    scored = [
        (u, score + scale * log_prob + bonus * length(text), text, score, log_prob)
        for (u, score, text), log_prob in zip(rows, log_probs.tolist(), strict=True)
    ]
    utterances = list(dict.fromkeys(u for u, _, _ in rows))
    return sorted(scored, key=lambda row: (utterances.index(row[0]), -row[1]))


@pytest.mark.parametrize(
    ("level", "flags", "weights", "length"),
    [
        ("char", [], (0.5, 0), len),
        ("char", ["--scale", 0.1, "--length-bonus", 2], (0.1, 2), len),
        ("word", ["--length-bonus", -3], (0.5, -3), lambda text: len(text.split())),
        (
            "char",
            ["--length-bonus", 9, "--unit", "word"],
            (0.5, 9),
            lambda text: len(text.split()),
        ),
        ("byte", ["--scale", 0], (0, 0), len),
        ("bpe", ["--length-bonus", 1], (0.5, 1), len),
    ],
)
def test_hypotheses_are_printed_best_first(rescore, models, nbest, level, flags, weights, length):
    result = rescore(nbest, *flags, level=level)

    assert result.status == 0, result.err
    rows = expected(models(level), LISTS, *weights, length)
    for printed, row in zip(rows_of(result.out), rows, strict=True):
        utterance, combined, text, score, log_prob = printed
        assert (utterance, text) == (row[0], row[2])
        numbers = [float(combined), float(score), float(log_prob)]
        assert numbers == pytest.approx([row[1], row[3], row[4]], rel=1e-7)


def test_equals_stay_in_their_order(rescore, tmp_path):
    texts = ["a fox", "a fox ", " a fox", "a fox"]
    path = write(tmp_path / "nbest.tsv", [("u1", -1.0, text) for text in texts])

    assert [row[2] for row in rows_of(rescore(path).out)] == texts


def test_what_is_printed_is_an_n_best_list_again(rescore, nbest, stdin):
    first = rescore(nbest, "--length-bonus", 0.3).out
    again = "".join("\t".join(row[:3]) + "\n" for row in rows_of(first))
    stdin(again.encode())

    second = rescore("-", "--scale", 0).out

    assert [row[:3] for row in rows_of(second)] == [row[:3] for row in rows_of(first)]


def test_the_best_alone_are_the_first_of_each(rescore, nbest):
    first = {}
    for utterance, _, text, *_ in rows_of(rescore(nbest).out):
        first.setdefault(utterance, text)

    assert rescore(nbest, "--best").out == "".join(f"{u}\t{t}\n" for u, t in first.items())


def test_json_has_the_same_with_all_digits(rescore, nbest):
    content = json.loads(rescore(nbest, "--json").out)
    best = json.loads(rescore(nbest, "--json", "--best").out)

    flat = [(u["utterance"], *h.values()) for u in content for h in u["hypotheses"]]
    printed = rows_of(rescore(nbest).out)
    assert list(content[0]["hypotheses"][0]) == ["text", "score", "log_prob", "combined"]
    for (utterance, text, score, log_prob, combined), row in zip(flat, printed, strict=True):
        assert [utterance, text] == [row[0], row[2]]
        assert [combined, score, log_prob] == pytest.approx([float(row[i]) for i in (1, 3, 4)])
        assert combined == score + 0.5 * log_prob
    assert [u["hypotheses"] for u in best] == [u["hypotheses"][:1] for u in content]


def test_ids_are_never_scored_even_if_they_look_like_words(rescore, tmp_path, nbest):
    names = {"u1": "The", "u2": "<unk>"}
    renamed = write(tmp_path / "renamed.tsv", [(names[u], s, t) for u, s, t in LISTS])

    one, other = rows_of(rescore(nbest).out), rows_of(rescore(renamed).out)

    assert [row[1:] for row in one] == [row[1:] for row in other]
    assert [names[row[0]] for row in one] == [row[0] for row in other]


def test_lists_are_read_packed_and_by_the_newest_model(trained, tmp_path, nbest):
    packed = tmp_path / "nbest.tsv.gz"
    packed.write_bytes(gzip.compress(nbest.read_bytes().replace(b"\n", b"\r\n")))

    newest, named = trained("rescore", packed), trained("rescore", "tale", nbest)

    assert newest.status == named.status == 0
    assert newest.out == named.out


def test_parted_characters_are_scored_as_the_text_and_printed_as_they_came(rescore, tmp_path):
    plain = [("u1", -1.0, "The fox"), ("u1", -2.0, "Th e")]
    parted = [("u1", -1.0, "T h e | f o x"), ("u1", -2.0, " T h  | e |")]
    one = write(tmp_path / "plain.tsv", plain)
    other = write(tmp_path / "parted.tsv", parted)
    references = tmp_path / "references.tsv"
    references.write_text("u1\tT h e | f o x\n")

    scored = rescore(one, "--length-bonus", 1)
    result = rescore(other, "--spaces", "|", "--length-bonus", 1, "--references", references)

    texts = {text: same for (_, _, text), (_, _, same) in zip(plain, parted, strict=True)}
    for row, same in zip(rows_of(scored.out), rows_of(result.out), strict=True):
        assert [*row[:2], texts[row[2]], *row[3:]] == same
    assert "of 7 characters in the references" in result.err


MARKED = [
    ("u1", -1.0, "<s> the fox ate </s>"),
    ("u1", -1.5, "the hen ate <eos>"),
    ("u2", -2.0, "<s>"),
]


def without_marks(text):
    return " ".join(word for word in text.split() if not word.startswith("<"))


def test_a_pretokenized_model_is_not_asked_for_the_marks_of_a_sentences_ends(
    charlm, pretokenized, tmp_path
):
    marked = write(tmp_path / "marked.tsv", MARKED)
    plain = write(tmp_path / "plain.tsv", [(u, s, without_marks(t)) for u, s, t in MARKED])
    (tmp_path / "marked.txt").write_text("u1\t<s> the hen ate </s>\nu2\t</s>\n")
    (tmp_path / "plain.txt").write_text("u1\tthe hen ate\nu2\t\n")

    found = charlm("rescore", pretokenized, marked, "--references", "marked.txt", "--json")
    expected = charlm("rescore", pretokenized, plain, "--references", "plain.txt", "--json")

    assert (found.status, expected.status) == (0, 0)
    found, expected = json.loads(found.out), json.loads(expected.out)
    assert found["measured"] == expected["measured"]
    for one, other in zip(found["utterances"], expected["utterances"], strict=True):
        assert [h["log_prob"] for h in one["hypotheses"]] == [
            h["log_prob"] for h in other["hypotheses"]
        ]
    printed = {h["text"] for u in found["utterances"] for h in u["hypotheses"]}
    assert printed == {text for _, _, text in MARKED}


def test_to_other_models_marks_are_text(rescore, tmp_path):
    marked = write(tmp_path / "marked.tsv", [("u1", -1.0, "<s> the fox")])
    plain = write(tmp_path / "plain.tsv", [("u1", -1.0, "the fox")])

    assert rows_of(rescore(marked).out)[0][4] != rows_of(rescore(plain).out)[0][4]


@pytest.mark.parametrize(
    ("hypothesis", "reference", "said"),
    [
        ("the </s> fox", "the fox", "bad.tsv:2: </s> is an end of a sentence within one"),
        ("the fox", "<s> <s> fox", "true.txt:1: <s> is an end of a sentence within one"),
    ],
)
def test_a_mark_within_a_text_is_told_by_its_line(
    charlm, pretokenized, tmp_path, hypothesis, reference, said
):
    (tmp_path / "bad.tsv").write_text(f"u1\t-1\ta\nu1\t-1\t{hypothesis}\n")
    (tmp_path / "true.txt").write_text(f"u1\t{reference}\n")

    result = charlm("rescore", pretokenized, "bad.tsv", "--references", "true.txt")

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


@pytest.fixture
def pretokenized(charlm, tmp_path):
    """The folder of a small model of pretokenized words."""
    (tmp_path / "words.txt").write_text("the fox ate\nthe hen ate\n" * 60)
    small = ("--hidden-size", 8, "--batch-size", 2, "--bptt", 8, "--steps", 3)
    result = charlm("train", "words.txt", "--level", "word", "--pretokenized", *small)
    assert result.status == 0, result.err
    return tmp_path / "checkpoints" / "words"


@pytest.fixture
def fake(monkeypatch):
    """Have the model give these log P, and count how often it was asked."""

    def put(log_probs):
        asked = []
        monkeypatch.setattr(
            LoadedModel,
            "log_probs",
            lambda self, texts: asked.append(texts) or np.array([log_probs[t] for t in texts]),
        )
        return asked

    return put


TUNABLE = [
    ("u1", 0.0, "one too three"),
    ("u1", -2.0, "one two three"),
    ("u2", 0.0, "four five"),
    ("u2", -3.0, "for five"),
]
LOG_PROBS = {"one too three": -4.0, "one two three": -1.0, "four five": -3.0, "for five": 0.0}
TRUE = "u1\tone two three\nu2\tfour five\n"


def test_tuning_reports_before_and_after_and_ranks_by_what_it_found(rescore, tmp_path, fake):
    path = write(tmp_path / "nbest.tsv", TUNABLE)
    (tmp_path / "true.tsv").write_text(TRUE)
    asked = fake(LOG_PROBS)

    result = rescore(path, "--tune", "true.tsv", "--unit", "word", "--best")

    # u1 is right above a scale of 2/3, u2 below 1; the middle has three digits.
    assert result.out == TRUE
    lines = [" ".join(line.split()) for line in result.err.splitlines()]
    assert "first pass 1 20.00% the recogniser's scores alone" in lines
    assert "rescored 1 20.00% --scale 0.5 --length-bonus 0.0" in lines
    assert "tuned 0 0.00% --scale 0.833 --length-bonus 0.0" in lines
    assert "oracle 0 0.00% the references: no ranking does better" in lines
    assert "next time: --scale 0.833 --length-bonus 0.0" in lines
    assert asked == [[text for _, _, text in TUNABLE]]  # all at once


def test_what_tuning_found_is_shown_even_where_the_reader_stops(models, nbest, references):
    command = f"{sys.executable} -m charlm rescore {models('char')} {nbest} --tune {references}"

    done = subprocess.run(
        f"{command} > /dev/full", shell=True, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "next time: --scale" in done.stderr
    assert done.stderr.endswith("cannot write the result: No space left on device.\n")


def test_what_tuning_found_gives_the_same_again(rescore, tmp_path, fake):
    path = write(tmp_path / "nbest.tsv", TUNABLE)
    (tmp_path / "true.tsv").write_text(TRUE)
    fake(LOG_PROBS)
    tuned = json.loads(rescore(path, "--tune", "true.tsv", "--json").out)["tuned"]

    flags = ("--scale", tuned["scale"], "--length-bonus", tuned["length_bonus"])
    again = rescore(path, *flags, "--references", "true.tsv", "--json")

    measured = json.loads(again.out)["measured"]
    assert measured["rescored"] == tuned["tuned"]
    assert measured["oracle"] == tuned["oracle"]
    assert "next time" not in again.err


@pytest.mark.parametrize(
    ("flag", "name", "errors"), [("--scale", "scale", 1), ("--length-bonus", "length_bonus", 0)]
)
def test_a_setting_that_is_given_is_held(rescore, tmp_path, fake, flag, name, errors):
    path = write(tmp_path / "nbest.tsv", TUNABLE)
    (tmp_path / "true.tsv").write_text(TRUE)
    fake(LOG_PROBS)

    result = rescore(path, "--tune", "true.tsv", "--unit", "word", flag, 0.2543211, "--json")

    tuned = json.loads(result.out)["tuned"]
    assert tuned[name] == 0.2543211
    assert tuned["tuned"]["errors"] == errors


def test_texts_that_say_nothing_are_noted_once(rescore, tmp_path):
    rows = [("u1", -1.0, "a fox"), ("u1", -1.0, ""), ("u2", -1.0, "  "), ("u2", -1.0, "ЖЖ")]
    path = write(tmp_path / "nbest.tsv", rows)

    result = rescore(path)

    assert result.status == 0
    assert len(rows_of(result.out)) == 4
    silent, unknown = result.err.splitlines()
    assert f"{path}:2 and 1 more: no text; scored as the empty sentence" in silent
    assert f"{path}:4: the model knows nothing in this text" in unknown


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        ("u1\t-1\ta\n\nu2\t-1\ta\n", [], "bad.tsv:2: the line is blank"),
        ("u1\t-1\ta\nu1 -1 a\n", [], "bad.tsv:2: expected utterance, score and text"),
        ("u1\t-1\ta\nu 1\t-1\ta\n", [], "bad.tsv:2: the utterance id 'u 1' holds white space"),
        ("u1\t-1\ta\nu1\t-inf\ta\n", [], "bad.tsv:2: the score must be a finite number"),
        ("u1\t-1\tthe\n", ["--spaces", "|"], "bad.tsv:1: expected characters parted by spaces"),
        ("u1\t-1\ta\nu1\t1_0\ta\n", [], "bad.tsv:2: the score must be a finite number"),
        ("", [], "bad.tsv is empty"),
        ("u1\t-1\ta\nu9\t-1\ta\n", ["--tune", "references.tsv"], "no reference for 'u9'"),
        ("u1\t-1\ta\n", ["--references", "references.tsv"], "no hypothesis for 'u2'"),
        ("u1\t-1\ta\n", ["--tune", "bad.tsv"], "bad.tsv:1: expected utterance and text"),
        ("u1\t-1\ta\n", ["--tune", "missing.tsv"], "missing.tsv does not exist"),
        ("u1\t-1\ta\n", ["--tune", "a", "--references", "a"], "exclude each other"),
        ("u1\t-1\ta\n", ["--scale", "-1"], "scale must be from 0 to 1e+100, not -1.0"),
        ("u1\t-1\ta\n", ["--scale", "1e308"], "scale must be from 0 to 1e+100, not 1e+308"),
        ("u1\t-1\ta\n", ["--length-bonus", "nan"], "length_bonus must be from -1e+100 to 1e+100"),
        ("u1\t-1\ta\n", ["--unit", "word"], "--unit has no effect"),
        ("u1\t-1\ta\n", ["--spaces", ""], "--spaces must be a symbol without white space"),
        ("u1\t-1\ta\n", ["bad.tsv"], "name one n-best list, not 2"),
        (
            "u1\t-1\ta\n",
            ["--tune", "references.tsv", "--scale", "1", "--length-bonus", "1"],
            "leave nothing to tune",
        ),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_printed(
    rescore, tmp_path, references, content, flags, said
):
    (tmp_path / "bad.tsv").write_text(content)

    result = rescore("bad.tsv", *flags)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["nosuch"], "nosuch is neither a checkpoint nor a text"),
        (["nosuch", "nbest.tsv"], "nosuch is neither a checkpoint nor a text"),
        (["-", "--tune", "-"], "only one of n-best list and references"),
    ],
)
def test_names_that_lead_nowhere_are_one_line(charlm, nbest, names, said):
    result = charlm("rescore", *names)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


def test_a_model_without_a_list_is_told_so(rescore):
    result = rescore()

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert "name an n-best list after the checkpoint" in result.err


def test_no_list_at_all_is_wrong_usage(charlm):
    assert charlm("rescore").status == 2


@pytest.mark.parametrize("log_prob", [-np.inf, np.nan])
def test_a_text_that_the_model_cannot_weigh_is_told_by_its_line(rescore, nbest, fake, log_prob):
    texts = dict.fromkeys((text for _, _, text in LISTS), -1.0)
    fake({**texts, "sad the hen": log_prob})

    result = rescore(nbest)

    assert (result.status, result.out) == (1, "")
    assert f"nbest.tsv:4: the model gives this text a log P of {log_prob}" in result.err


def test_without_its_library_tuning_is_answered_before_the_model_is_asked(
    rescore, nbest, references, fake, monkeypatch
):
    asked = fake({})
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)

    result = rescore(nbest, "--tune", references)

    assert (result.status, result.out) == (1, "")
    assert "pip install charlm[rescore]" in result.err
    assert asked == []


def test_a_bad_list_does_not_wait_for_torch(tmp_path):
    (tmp_path / "bad.tsv").write_text("u1 -1 a\n")
    program = (
        "import sys; sys.argv = ['charlm', 'rescore', 'bad.tsv']\n"
        "from charlm.cli.app import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (1, "False\n")
