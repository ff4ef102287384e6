"""Built-in corpora: part of charlm, or of any Python installation."""

import ast
import importlib.util
import inspect
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from charlm.data.tasks import TASKS
from charlm.errors import ConfigError

SKIPPED = {"site-packages", "dist-packages", "__pycache__", "topics.py"}


def tales() -> Iterator[str]:
    """Short tales written for charlm, 160 kB."""
    here = Path(__file__).parent / "tales.txt"  # in a wheel
    checkout = Path(__file__).parents[2] / "corpora" / "tales.txt"
    yield (here if here.exists() else checkout).read_text(encoding="utf-8")


def python() -> Iterator[str]:
    """The manual of this Python and its standard library's docstrings, several MB.

    Nothing is imported or executed: files are only parsed. They are sorted by name, so that the
    text is the same for the same Python.
    """
    for topic in manual_topics():
        yield topic.strip() + "\n\n"
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if SKIPPED.isdisjoint(path.relative_to(library).parts):
            for docstring in docstrings(path):
                yield docstring + "\n\n"


def manual_topics() -> Iterator[str]:
    """Yield the topics that `help()` shows, sorted by name."""
    spec = importlib.util.find_spec("pydoc_data.topics")
    if spec is None or spec.origin is None:  # missing in some small installations
        return
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    tables = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    topics: dict[str, str] = ast.literal_eval(tables[-1])
    for name in sorted(topics):
        yield topics[name]


def docstrings(path: Path) -> Iterator[str]:
    """Yield the printable docstrings of a module, its classes and functions, breadth first."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:  # a few library files are templates or deliberately broken
        return
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node, clean=False)):
            clean = textwrap.dedent(inspect.cleandoc(text)).strip()
            if clean.replace("\n", "").replace("\t", "").isprintable():
                yield clean


MADE_CORPORA: dict[str, Callable[[], Iterator[str]]] = {"python": python, "tales": tales}


def made_corpus(name: str) -> Iterator[str]:
    """Return the text of a built-in corpus, in pieces.

    Raises:
        ConfigError: there is no corpus of this name.
    """
    if name not in MADE_CORPORA:
        known = ", ".join((*MADE_CORPORA, *TASKS))
        raise ConfigError(f"there is no corpus {name!r}; there are {known}.")
    return MADE_CORPORA[name]()
