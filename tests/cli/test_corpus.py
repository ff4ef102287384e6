from pathlib import Path


def test_tales_come_out_as_they_are(charlm):
    tales = Path(__file__).parents[2] / "corpora" / "tales.txt"

    assert charlm("corpus", "tales").out == tales.read_text()


def test_without_a_name_the_corpora_are_listed(charlm):
    out = charlm("corpus").out

    assert "tales" in out and "python" in out


def test_an_unknown_name_is_one_clear_line(charlm):
    result = charlm("corpus", "bible")

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "there are python, tales" in result.err
