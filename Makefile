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

ARITHMETIC = tests/cells tests/kernels tests/model tests/api/test_networks.py \
	tests/api/test_writing.py tests/api/test_loaded.py tests/decoding/test_batch.py \
	tests/decoding/test_cached.py tests/decoding/test_sampling.py tests/evaluation/test_evaluate.py \
	tests/evaluation/test_dynamic.py tests/evaluation/test_network.py tests/training/test_learner.py \
	tests/training/test_common.py tests/training/test_extension.py \
	tests/training/test_memory.py tests/training/test_optimizer.py tests/training/test_precision.py \
	tests/training/test_prepare.py tests/training/test_run.py \
	tests/test_device.py tests/test_reproducibility.py

test-avx2:
	CHARLM_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	MKL_ENABLE_INSTRUCTIONS=AVX2 pytest -n auto $(ARITHMETIC)

test-baseline:
	CHARLM_MAX_CPU_ISA=BASELINE ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default \
	pytest -n auto $(ARITHMETIC)

# Attack charlm with mutated files, kills, failing writes and loads during saves: more than an hour on two
# cores.
soak:
	python benchmarks/robustness/soak.py
