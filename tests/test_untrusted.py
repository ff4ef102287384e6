"""Files from elsewhere are regular, of bounded size, and not nested too deeply."""

import json
import os
import socket
import tomllib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.untrusted import (
    JSON_MARK,
    MAX_DEPTH,
    MAX_KEYS,
    MAX_VALUES,
    TOML_TEXT,
    RefusedFileError,
    open_regular,
    parse_json,
    parse_toml,
    read_regular,
)


def make(kind, path):
    """Put something at `path`."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                folder = os.open(path.parent, os.O_RDONLY)
                server.bind(f"/proc/self/fd/{folder}/{path.name}")  # short enough for a socket
                os.close(folder)


SPECIAL = {
    "pipe": "it is a named pipe, not a regular file",
    "device": "it is a device, not a regular file",
    "folder": "it is a folder, not a file",
    "socket": "it is a socket, not a regular file",
}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_not_a_regular_file_is_refused_without_opening_it(
    tmp_path, kind, linked, monkeypatch
):
    make(kind, tmp_path / "file")
    (tmp_path / "link").symlink_to("file")
    monkeypatch.delattr("charlm.untrusted.os.open")
    path = tmp_path / ("link" if linked else "file")

    for read in (lambda: read_regular(path, 9), lambda: open_regular(path).__enter__()):
        with pytest.raises(RefusedFileError) as error:
            read()
        assert str(error.value) == error.value.strerror == SPECIAL[kind]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_file_that_changes_before_it_is_opened_is_refused_too(tmp_path, kind, monkeypatch):
    make(kind, tmp_path / "file")
    regular = os.stat(__file__)
    monkeypatch.setattr("charlm.untrusted.os.stat", lambda path: regular)

    with pytest.raises(OSError):
        read_regular(tmp_path / "file", 9)


def test_a_link_to_a_regular_file_is_followed(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")

    assert read_regular(tmp_path / "link", 7) == b"content"


def test_a_file_of_the_maximum_size_is_read_and_a_larger_one_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"content")

    assert read_regular(tmp_path / "file", 7) == b"content"
    with pytest.raises(RefusedFileError, match="larger than 6 bytes"):
        read_regular(tmp_path / "file", 6)


def test_a_file_whose_size_is_not_told_is_bounded_as_well():
    """Files of /proc have a size of 0 and content."""
    with pytest.raises(RefusedFileError, match="larger than 10 bytes"):
        read_regular("/proc/self/status", 10)


def nested_json(depth, kind="list"):
    begin, end = {"list": ("[", "]"), "table": ('{"a":', "}")}[kind]
    return begin * depth + "1" * (kind == "table") + end * depth


@pytest.mark.parametrize("kind", ["list", "table"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 10_000, 200_000])
def test_json_nested_too_deeply_is_a_value_error(kind, depth):
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        parse_json(nested_json(depth, kind))


@pytest.mark.parametrize("kind", ["list", "table"])
def test_json_of_the_maximum_depth_is_read_and_can_be_written(kind):
    content = nested_json(MAX_DEPTH, kind)

    assert json.dumps(parse_json(content), separators=(",", ":")) == content


@pytest.mark.parametrize("content", [b"\xff", b"", b"{", b"[1,]", "é".encode("utf-16")])
def test_what_is_not_json_in_utf8_is_a_value_error(content):
    with pytest.raises(ValueError):
        parse_json(content)


def test_json_in_utf8_is_read():
    assert parse_json('{"é": [1, null, "a"]}'.encode()) == {"é": [1, None, "a"]}
    assert parse_json("3") == 3


DEEP = {
    "arrays": f"a = {nested_json(10_000)}",
    "inline tables": "a = " + "{a = " * 5_000 + "1" + "}" * 5_000,
    "arrays that tomllib can read": f"a = {nested_json(MAX_DEPTH)}",
    "a dotted key": f"a{'.a' * 30_000} = 1",
    "a dotted header": f"[a{' . a' * 30_000}]",
    "a dotted key in an inline table": f"b = {{a{'.a' * 30_000} = 1}}",
    "a dotted key between strings": f'''t = {{x = """ " """, a{".a" * 30_000} = 1, y = " "}}''',
    "after a string that ends in a quote": f'''t = {{x = """b"""", a{".a" * 30_000} = "c"}}''',
}


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_toml_nested_too_deeply_is_a_value_error(content):
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        parse_toml(content.encode())


@pytest.mark.parametrize("name", [name for name in DEEP if "dotted" in name or "quote" in name])
def test_long_dotted_keys_never_reach_tomllib(name, monkeypatch):
    monkeypatch.delattr("charlm.untrusted.tomllib.loads")

    with pytest.raises(ValueError, match="nested"):
        parse_toml(DEEP[name].encode())


def test_dots_in_strings_and_comments_are_no_keys():
    names = [f"{number}.a.b.txt" for number in range(200)]
    content = (
        f"# {'.' * 500}\npaths = {json.dumps(names)}\nother = '{'.' * 500}'\n"
        f'long = """\n{"." * 500}\\""""""\nlast = 1 # " {"." * 500}'
    )

    assert parse_toml(content.encode()) == tomllib.loads(content)


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "9" * 5000, str(2**63), str(-(2**63) - 1)])
def test_whole_numbers_in_toml_have_64_bits(number):
    with pytest.raises(ValueError):
        parse_toml(f"a = [{number}]".encode())


def test_the_largest_whole_numbers_in_toml_are_read():
    assert parse_toml(f"a = {2**63 - 1}\nb = {-(2**63)}".encode()) == {
        "a": 2**63 - 1,
        "b": -(2**63),
    }


@pytest.mark.parametrize(
    "text",
    ["[" + "[]," * 10 + "1]", "[" + "1," * 10 + "1]", '{"a":{' + '"b":{},' * 5 + '"c":{}}}'],
)
def test_json_of_too_many_values_is_refused_before_it_is_parsed(text, monkeypatch):
    monkeypatch.delattr("charlm.untrusted.json.loads")
    with pytest.raises(ValueError, match="it has more than 9 values"):
        parse_json(text, max_values=9)


@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(',[{"\\a'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(',[{"\\a'), inner),
    )
)
def test_only_values_count_and_not_what_texts_hold(value):
    def count(value):  # commas and openings
        if not isinstance(value, (list, dict)):
            return 0
        members = list(value.values() if isinstance(value, dict) else value)
        return 1 + max(0, len(members) - 1) + sum(map(count, members))

    text, most = json.dumps(value), count(value)
    assert parse_json(text, max_values=most) == value
    if most:
        with pytest.raises(ValueError, match="values"):
            parse_json(text, max_values=most - 1)


MANY = 1 << 20
ENDLESS = {
    "of JSON": (JSON_MARK, '"' + '\\"' * MANY),
    "of TOML": (TOML_TEXT, '"' + '\\"' * MANY),
    "of TOML in lines": (TOML_TEXT, '"""' + '\\"x' * MANY),
    "of TOML with quotes": (TOML_TEXT, '"""' + '"\\"' * MANY),
    "of TOML with two quotes": (TOML_TEXT, "'''" + "''x" * MANY),
}


@pytest.mark.parametrize(("pattern", "text"), ENDLESS.values(), ids=ENDLESS)
def test_a_string_without_an_end_is_looked_at_once(pattern, text):
    """Were it tried at each of its quotation marks, this would take hours."""
    assert pattern.match(text).end() == len(text)
    assert len(pattern.findall(text)) <= 2  # at its end there may be an empty match


def test_a_long_string_of_json_takes_no_memory_but_its_own():
    text = '"' + "," * (MAX_VALUES + 1) + '\\"' * (1 << 17) + '"'
    tracemalloc.start()
    try:
        parse_json(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(text)


@given(
    quote=st.sampled_from(['"', "'", '"""', "'''"]),
    inner=st.lists(st.sampled_from(['"', "'", '\\"', "\\\\", "\n", "#", "."])).map("".join),
)
def test_of_a_toml_string_nothing_counts_as_a_key(quote, inner):
    content = f"a = {quote}{inner}{quote}"
    try:
        value = tomllib.loads(content)["a"]
    except tomllib.TOMLDecodeError:
        return

    assert isinstance(value, str)
    assert TOML_TEXT.sub("", content).strip() == "a ="


KEYS = {
    "dotted headers": f"[k%d{'.a' * 90}]\n",
    "headers": "[k%d]\n",
    "arrays of tables": "[[k%d]]\n",
    "keys": "k%d=1\n",
    "inline tables": "k%d={}\n",
}


@pytest.mark.parametrize("line", KEYS.values(), ids=KEYS)
def test_more_keys_than_there_are_settings_never_reach_tomllib(line, monkeypatch):
    monkeypatch.delattr("charlm.untrusted.tomllib.loads")

    with pytest.raises(ValueError, match="more than 16,384 keys"):
        parse_toml("".join(line % number for number in range(MAX_KEYS + 1)).encode())


def test_a_list_of_many_texts_is_read():
    content = f"paths = {json.dumps([f'letters/{number}.txt' for number in range(20_000)])}"

    assert len(parse_toml(content.encode())["paths"]) == 20_000
