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


def test_an_exercise_comes_in_lines_as_many_as_asked(charlm):
    out = charlm("corpus", "copying", "--lines", 7, "--gap", 3, "--min-gap", 3).out

    lines = out.splitlines()
    assert len(lines) == 7 and out.endswith("\n")
    assert all(line[5:9] == "...=" and line[:5] == line[9:] for line in lines)


def test_the_same_seed_makes_the_same_exercise(charlm):
    first, same, other = (charlm("corpus", "cook", "--seed", seed).out for seed in (1, 1, 2))

    assert first == same != other
    assert first == charlm("corpus", "cook").out
    assert first.count("\n") == 10_000


def test_only_exercises_have_lines_gaps_and_seeds(charlm):
    for given in (("tales", "--lines", 3), ("--gap", 3), ("python", "--seed", 3)):
        result = charlm("corpus", *given)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert "is for exercises: running-total, " in result.err


def test_a_least_gap_above_the_most_is_refused(charlm):
    result = charlm("corpus", "delayed-xor", "--min-gap", 30)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "--min-gap 30 is more than --gap 10" in result.err
