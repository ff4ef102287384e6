"""`charlm score`: rows that add up, pairs, pictures, mistakes."""

import json
import re

import pytest

LEVELS = ["char", "byte", "bpe", "word"]
TEXT = 'The fox\tsaid: "Öl \\ 朝!"\r\n\n The  hen ate.\n'
PLACE = ["char_start", "char_end"]
TOKEN = ["sentence_id", "token_id", "token", "surprisal", "entropy", "rank", "other", *PLACE]
SENTENCE = ["sentence_id", "num_tokens", "surprisal", "other", *PLACE, "text"]
HEADERS = {"token": TOKEN, "word": TOKEN, "sentence": SENTENCE, "line": ["line_id", *SENTENCE]}
ESCAPED = re.compile(r"\\([tnr\\])")


def unescape(cell):
    return ESCAPED.sub(lambda match: {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[match[1]], cell)


def table(out):
    header, *lines = out.removesuffix("\n").split("\n")
    names = header.split("\t")
    return [dict(zip(names, map(unescape, line.split("\t")), strict=True)) for line in lines]


@pytest.fixture
def score(charlm, models, tmp_path):
    """Run `charlm score` with the model of a level; there is a file text.txt."""
    (tmp_path / "text.txt").write_bytes(TEXT.encode())

    def run(*arguments, level="char"):
        result = charlm("score", models(level), *arguments)
        assert (result.status, result.err) == (0, "")
        return result.out

    return run


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("by", HEADERS)
def test_rows_say_where_they_are_and_add_up_to_what_eval_finds(score, charlm, models, level, by):
    out = score("text.txt", "--by", by, level=level)

    evaluation = json.loads(charlm("eval", models(level), "text.txt", "--json").out)
    rows = table(out)
    assert out.split("\n")[0].split("\t") == HEADERS[by]
    total = evaluation["bits_per_token"] * evaluation["num_tokens"]
    assert sum(float(row["surprisal"]) for row in rows) == pytest.approx(total, rel=1e-6)
    assert sum(int(row["other"]) for row in rows) == evaluation["num_other"]
    if by in ("sentence", "line"):
        assert sum(int(row["num_tokens"]) for row in rows) == evaluation["num_tokens"]
    elif by == "token":
        assert len(rows) == evaluation["num_tokens"]
        assert all(float(row["entropy"]) > 0 and int(row["rank"]) > 0 for row in rows)
    for row in rows:
        covered = TEXT[int(row["char_start"]) : int(row["char_end"])]
        assert by == "token" or row.get("text", row.get("token")) in (covered, "<stop>")


@pytest.mark.parametrize("by", HEADERS)
def test_json_lines_hold_the_same_as_the_table(score, by):
    rows = table(score("text.txt", "--by", by))

    objects = [json.loads(line) for line in score("text.txt", "--by", by, "--jsonl").splitlines()]

    assert [list(each) for each in objects] == [HEADERS[by]] * len(rows)
    for row, each in zip(rows, objects, strict=True):
        for name, value in each.items():
            if isinstance(value, float):
                assert float(row[name]) == pytest.approx(value, rel=1e-8)
            else:
                assert row[name] == ("" if value is None else str(value))


def test_tokens_with_tabs_and_line_breaks_stay_in_their_cells(score):
    rows = table(score("text.txt"))

    assert "".join(row["token"] for row in rows[:-1]) == TEXT
    assert rows[-1]["token"] == "<stop>"
    assert [int(row["token_id"]) for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("level", LEVELS)
def test_backslashes_are_doubled_where_they_are_the_texts_and_spell_bytes_otherwise(
    score, tmp_path, level
):
    (tmp_path / "text").write_bytes(b"\\x0a\n\t\xc3\xbe")  # a thorn no model knows

    lines = score("text", level=level).splitlines()[1:-1]

    cells = [line.split("\t")[2] for line in lines]
    expected = {
        "char": [r"\\", "x", "0", "a", r"\n", r"\t", "þ"],
        "byte": [r"\\", "x", "0", "a", r"\x0a", r"\x09", r"\xc3", r"\xbe"],
        "bpe": [r"\\", "x", "0", "a", r"\n", r"\t", r"\xc3", r"\xbe"],
        "word": [r"\\", "x0a", "þ"],
    }
    assert cells == expected[level]
    if level in ("byte", "bpe"):
        last = json.loads(score("text", "--jsonl", level=level).splitlines()[-2])
        assert last["token"] == r"\xbe"


def test_bytes_that_are_no_text_go_through(score, tmp_path):
    (tmp_path / "bytes").write_bytes(b"a\xff b")

    word, *_ = score("bytes", "--by", "word", "--jsonl", level="byte").splitlines()

    assert json.loads(word)["token"] == "a\udcff"


def test_standard_input_is_a_text(score, stdin):
    from_file = score("text.txt", "--by", "word")
    stdin(TEXT.encode())

    assert score("-", "--by", "word") == from_file


def test_several_texts_name_their_rows_and_go_on_counting_sentences(score, tmp_path):
    (tmp_path / "more.txt").write_text("A hen.\nThe owl.\n")

    rows = table(score("text.txt", "more.txt", "--by", "line", "--frame", "line"))

    assert [row["file"] for row in rows] == ["text.txt"] * 2 + ["more.txt"] * 2
    assert [row["sentence_id"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["line_id"] for row in rows] == ["1", "3", "1", "2"]
    assert [row["char_start"] for row in rows] == ["0", str(TEXT.index(" The")), "0", "7"]


def test_the_context_may_be_the_frame_alone(score, tmp_path):
    (tmp_path / "twice.txt").write_text("The fox ate.\nThe fox ate.\n")
    arguments = ("twice.txt", "--by", "sentence", "--frame", "line", "--context")

    first, second = table(score(*arguments, "frame"))
    assert float(first["surprisal"]) == pytest.approx(float(second["surprisal"]), rel=1e-5)
    first, second = table(score(*arguments, "stream"))
    assert float(first["surprisal"]) != pytest.approx(float(second["surprisal"]), rel=1e-3)


def test_a_text_without_tokens_has_no_rows(score, tmp_path):
    (tmp_path / "blank.txt").write_text("\n\n")

    assert score("blank.txt", "--frame", "line") == "\t".join(TOKEN) + "\n"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("by", ["token", "word"])
def test_a_heat_map_shows_the_text_its_bars_and_a_legend(score, level, by):
    lines = score("text.txt", "--heatmap", "--by", by, level=level).split("\n")

    assert re.match(r"The fox⇥   said: \"Öl \\ 朝!\"", lines[0])
    assert set(lines[1]) <= set("▁▂▃▄▅▆▇█ ")
    step = 3 if by == "word" else 1 if level in ("char", "byte") else 2
    assert lines[-2].startswith(f"bits  ▁ 0+  ▂ {step}+ ")


def test_several_heat_maps_have_names(score):
    lines = score("text.txt", "text.txt", "--heatmap").split("\n")

    assert lines.count("text.txt") == 2


PAIRS = "The fox ate the hen.\tTeh xof eat teh nhe.\torder\nThe owl sat.\tQzx xq zxq.\tnonsense\n"


def test_pairs_give_accuracy_by_group(score, tmp_path):
    (tmp_path / "pairs.tsv").write_text(PAIRS)

    out = score("--pairs", "pairs.tsv")
    content = json.loads(score("--pairs", "pairs.tsv", "--json"))

    assert [each["group"] for each in content["groups"]] == ["order", "nonsense"]
    assert [each["accuracy"] for each in content["groups"]] == [1.0, 1.0]
    assert (content["num_pairs"], content["num_right"], content["num_ties"]) == (2, 2, 0)
    assert content["bits_per_pair"] > 0
    for words in (["order", "1", "1"], ["nonsense", "1", "1"], ["all", "groups", "2", "2"]):
        assert any(line.split()[: len(words)] == words for line in out.splitlines())


def test_pairs_that_a_word_model_cannot_tell_apart_are_ties(score, tmp_path):
    (tmp_path / "pairs.tsv").write_text("The zzyzx ate.\tThe qwrtp ate.\n")

    content = json.loads(score("--pairs", "pairs.tsv", "--json", level="word"))

    assert (content["num_ties"], content["accuracy"], content["bits_per_pair"]) == (1, 0.5, 0.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a text, or - for standard input"),
        (["missing.txt"], "missing.txt does not exist"),
        (["text.txt", "empty.txt"], "empty.txt is empty"),
        (["text.txt", "bad.txt"], "bad.txt is not UTF-8"),
        (["text.txt", "--json"], "--json has no effect without --pairs"),
        (["text.txt", "--heatmap", "--jsonl"], "--heatmap and --jsonl exclude each other"),
        (["text.txt", "--heatmap", "--by", "line"], "not by line"),
        (["text.txt", "--pairs", "pairs.tsv"], "a text has no effect beside --pairs"),
        (["--pairs", "pairs.tsv", "--by", "word"], "--by has no effect beside --pairs"),
        (["--pairs", "pairs.tsv", "--context", "frame"], "--context has no effect"),
        (["--pairs", "pairs.tsv", "--heatmap"], "--heatmap has no effect beside --pairs"),
        (["--pairs", "pairs.tsv", "--jsonl"], "--jsonl has no effect beside --pairs"),
        (["--pairs", "pairs.tsv", "--dynamic"], "--dynamic follows a running text, and --pairs"),
        (["--pairs", "bad.txt"], "bad.txt:2: not UTF-8"),
        (["--pairs", "text.txt"], "text.txt:2: the line is blank"),
        (["--pairs", "missing.tsv"], "missing.tsv does not exist"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_printed(charlm, models, tmp_path, arguments, said):
    (tmp_path / "text.txt").write_bytes(TEXT.encode())
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.txt").write_bytes(b"The owl.\n\xff")
    (tmp_path / "pairs.tsv").write_text(PAIRS)

    result = charlm("score", models("char"), *arguments)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert said in result.err


def test_without_a_name_it_is_the_newest_model(trained, corpus):
    assert trained("score", corpus, "--by", "line") == trained(
        "score", "tale", corpus, "--by", "line"
    )


def test_a_terminal_gets_an_aligned_table(models, charlm, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("The fox.", encoding="utf-8")
    piped = charlm("score", models("word"), "a.txt")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")

    shown = charlm("score", models("word"), "a.txt")

    assert "\t" in piped.out
    assert "\t" not in shown.out
    assert "bits" in shown.out.splitlines()[0]
    assert len(shown.out.splitlines()) == len(piped.out.splitlines())
