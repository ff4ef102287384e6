# One command checks everything: make check
.PHONY: check test-elsewhere test-avx2 test-baseline soak
check:
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest -n auto

# The tests of what depends on arithmetic, as on other processors: with AVX2 alone, and with what
# every x86-64 has.
test-elsewhere: test-avx2 test-baseline

ARITHMETIC = tests/api tests/cells tests/decoding tests/evaluation tests/examples tests/kernels \
	tests/model tests/training tests/test_device.py tests/test_reproducibility.py

test-avx2:
	CHARLM_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	MKL_ENABLE_INSTRUCTIONS=AVX2 pytest -n auto $(ARITHMETIC)

test-baseline:
	CHARLM_MAX_CPU_ISA=BASELINE ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default \
	pytest -n auto $(ARITHMETIC)

# Attack charlm with mutated files, kills, failing writes and loads during saves: more than an hour.
soak:
	python benchmarks/robustness/soak.py
