"""Word vectors are read from what GloVe and word2vec write, and from nothing else."""

import gzip

import numpy as np
import pytest

from charlm.data import Source, read_vectors
from charlm.errors import TextError

IDS = {"the": 0, "cat": 1, "Cat": 2, "new york": 3, "moon": 4}
GLOVE = "the 0.5 -1 2e-3\ncat 1 2 3\nnew york 4 5 6\ndog 7 8 9\n"


def read(tmp_path, text, ids=IDS):
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode())
    vectors = read_vectors(Source(str(path)), ids)
    assert vectors.values.dtype == np.float32
    return dict(zip(vectors.ids.tolist(), vectors.values.tolist(), strict=True))


def test_each_token_gets_its_vector_and_capitals_that_of_the_lower_case(tmp_path):
    found = read(tmp_path, GLOVE)

    assert found == {
        0: [0.5, -1, pytest.approx(0.002)],
        1: [1, 2, 3],
        2: [1, 2, 3],
        3: [4, 5, 6],
    }


def test_a_vector_of_its_own_comes_before_that_of_the_lower_case(tmp_path):
    lines = ["cat 1 2 3", "Cat 7 7 7"]

    assert read(tmp_path, "\n".join(lines))[2] == [7, 7, 7]
    assert read(tmp_path, "\n".join(lines[::-1]))[2] == [7, 7, 7]


def test_a_header_of_word2vec_is_no_vector(tmp_path):
    assert read(tmp_path, "2 3\ncat 1 2 3 \r\nthe 4 5 6 \n") == {
        0: [4, 5, 6],
        1: [1, 2, 3],
        2: [1, 2, 3],
    }


def test_packed_files_are_unpacked(tmp_path):
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes(gzip.compress(GLOVE.encode()))

    assert read_vectors(Source(str(path)), IDS).ids.tolist() == [0, 1, 2, 3]


def test_nobodys_vectors_are_passed_over(tmp_path):
    assert read(tmp_path, GLOVE, {"horse": 0}) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no vectors"),
        ("the 1 2 3\ncat 1 2\n", "no vector of 3 numbers in line 2"),
        ("the 1 2 3\nmouse 1 2\n", "no vector of 3 numbers in line 2"),
        ("the 0.1 0.2\ncat 0.1 0.2 0.3\n", "no vector of 2 numbers in line 2"),
        ("the 1 2 3\ncat 1 two 3\n", "no vector of 3 numbers in line 2"),
        ("the 1 2 3\ncat 1 nan 3\n", "no vector of 3 numbers in line 2"),
        ("2 4\nthe 1 2 3\n", "no vector of 4 numbers in line 2"),
        ("the\ncat\n", "no vector of 0 numbers in line 1"),
    ],
)
def test_a_file_of_something_else_is_one_clear_line(tmp_path, text, said):
    with pytest.raises(TextError, match=said) as error:
        read(tmp_path, text)

    assert "\n" not in str(error.value)


def test_blank_lines_count_as_lines_and_do_not_hide_a_header(tmp_path):
    (tmp_path / "v.txt").write_text("\n2 2\nfox 1 2\n\nowl 3 x\n")
    with pytest.raises(TextError, match="2 numbers in line 5"):
        read_vectors(Source(str(tmp_path / "v.txt")), {"fox": 0, "owl": 1})
