from charlm.display.rescoring import flags, show_rescoring_errors
from charlm.evaluation import FIRST_PASS, Ranking, RescoringConfig, RescoringErrors

START = Ranking("rescored", 150, RescoringConfig())
TUNED = Ranking("tuned", 120, RescoringConfig(scale=0.43, length_bonus=-1.25))
ORACLE = Ranking("oracle", 50, None)


def lines_of(capsys):
    shown = capsys.readouterr()
    assert shown.out == ""
    return [" ".join(line.split()) for line in shown.err.splitlines()]


def test_each_ranking_is_shown_with_its_errors_and_rate_on_stderr(capsys):
    first = Ranking("first pass", 1200, FIRST_PASS)

    show_rescoring_errors(RescoringErrors("word", 2000, (first, START, TUNED, ORACLE)))

    lines = lines_of(capsys)
    assert "ranking errors WER ranked by" in lines
    assert "first pass 1,200 60.00% the recogniser's scores alone" in lines
    assert "rescored 150 7.50% --scale 0.5 --length-bonus 0.0" in lines
    assert "tuned 120 6.00% --scale 0.43 --length-bonus -1.25" in lines
    assert "oracle 50 2.50% the references: no ranking does better" in lines
    assert "of 2,000 words in the references" in lines
    assert "next time: --scale 0.43 --length-bonus -1.25" in lines


def test_without_tuning_there_is_nothing_to_take_along(capsys):
    show_rescoring_errors(RescoringErrors("char", 2000, (START, ORACLE)))

    lines = lines_of(capsys)
    assert "ranking errors CER ranked by" in lines
    assert "of 2,000 characters in the references" in lines
    assert not any("next time" in line for line in lines)


def test_references_without_a_word_have_no_rate(capsys):
    show_rescoring_errors(RescoringErrors("word", 0, (START,)))

    assert "rescored 150 - --scale 0.5 --length-bonus 0.0" in lines_of(capsys)


def test_flags_keep_every_digit():
    config = RescoringConfig(scale=1.000015, length_bonus=1 / 3)

    assert flags(config) == "--scale 1.000015 --length-bonus 0.3333333333333333"
