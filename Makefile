# One command checks everything: make check
.PHONY: check
check:
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest
