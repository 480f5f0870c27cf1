# Set-up and checks. A virtual environment in $(VENV) is made on first use and again brought up to date when setup.py changes.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
PLAYWRIGHT ?= playwright-core@1.64.1
MICROPYTHON_WEB ?= @micropython/micropython-webassembly-pyscript@1.27.0
PYTEST_FLAGS ?= -q --durations=10
MINUTES ?= 5
BENCHES ?= $(filter-out lib,$(patsubst tools/bench/bench_%.py,%,$(wildcard tools/bench/bench_*.py)))

bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check -q install
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test oracle browser micropython-web lint docs bench fuzz faults release-check weights-figures clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-15s %s\n' "$$target" "$$text"; done
	@printf '\n  PYTHON=%s  the interpreter that makes %s (3.10 or newer; after a change: make clean)\n' "$(PYTHON)" "$(VENV)"

demo: $(VENV)/.base ## install and classify the demo clip
	$(bin)/npreslstm predict --attention npreslstm/data/demo.wav

test: $(VENV)/.test ## install the test extra and run the tests; those that need an oracle package skip
	$(bin)/python -m pytest $(PYTEST_FLAGS)

oracle: $(VENV)/.oracle ## install torch (CPU), librosa and the rest and run the tests that compare with them
	$(bin)/python -m pytest -m oracle $(PYTEST_FLAGS)

browser: build/browser/.made ## install playwright-core, for the tests of the explaining page; Node.js and Chromium must be there

micropython-web: build/micropython/.made ## install MicroPython's WebAssembly port, for a test; Node.js must be there

lint: $(VENV)/.lint ## check the code with ruff, the layout of C with clang-format, and the annotations of what is public with mypy
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	find npreslstm tests tools $(foreach end,c h hpp cpp,-name '*.$(end)' -o) -name '*.ino' | xargs $(bin)/clang-format --dry-run --Werror
	$(bin)/mypy

docs: $(VENV)/.docs ## build the documentation in build/docs/html; any warning is an error
	$(bin)/python tools/make_docs.py

weights-figures: $(VENV)/.test ## regenerate what is derived from the bundled weights: card, examples of the pages, ledger, self-test
	$(bin)/python tools/release/weights_figures.py

bench: $(VENV)/.oracle ## print speed as ratios to the peers, measured in the same run
	@for name in $(BENCHES); do echo; echo "$$name"; $(bin)/python tools/bench $$name || exit; done

# atheris has wheels for some versions of Python; without it the inputs are mutated by a generator of this project. Without PyAV no
# input reaches FFmpeg.
fuzz: $(VENV)/.test ## fuzz every reader and every C entry for MINUTES (5)
	@$(bin)/python -c 'import atheris' 2>/dev/null || $(pip) --only-binary=:all: atheris || echo "no atheris for this Python" >&2
	@$(bin)/python -c 'import av' 2>/dev/null || $(pip) --only-binary=:all: 'av>=12' || echo "no PyAV for this Python" >&2
	$(bin)/python tools/fuzz/campaign.py --minutes $(MINUTES)

faults: $(VENV)/.test ## kill commands, race them and flip bits: what docs/reliability.md counts; half an hour
	$(bin)/python tools/faults/flips.py
	$(bin)/python tools/faults/kills.py
	$(bin)/python tools/faults/races.py

release-check: ## what takes hours before a release: other versions of Python and NumPy, fuzzing, faults
	tools/release/test_matrix.sh -n 2
	$(MAKE) fuzz MINUTES=30
	$(MAKE) faults

clean: ## remove the virtual environment and everything that was built
	rm -rf $(VENV) .matrix build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is not Python 3.10 or newer; name one that is: make PYTHON=python3.12 demo" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: setup.py pyproject.toml | $(VENV)/.made
	@echo "installing npreslstm into $(VENV): a minute or so" >&2
	@$(pip) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	@echo "installing the test extra" >&2
	@$(pip) -e ".[test]"
	@touch $@

# torch first and by name: left to the extra, pip would choose the newest, a CUDA build of several GB.
$(VENV)/.oracle: $(VENV)/.test
	@echo "installing $(TORCH), librosa and the other packages to compare with: a few minutes" >&2
	@$(pip) "$(TORCH)"
	@$(pip) -e ".[test,oracle,plot,search,cluster]"
	@touch $@

# It brings no browser of its own.
build/browser/.made: Makefile
	@mkdir -p $(@D)
	@npm install --prefix $(@D) --silent --no-fund --no-audit $(PLAYWRIGHT)
	@touch $@

build/micropython/.made: Makefile
	@mkdir -p $(@D)
	@npm install --prefix $(@D) --silent --no-fund --no-audit $(MICROPYTHON_WEB)
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "installing the docs extra" >&2
	@$(pip) -e ".[docs]"
	@touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/.made
	@$(pip) "ruff==0.14.*" "clang-format==23.1.*" "mypy==2.*" "numpy>=1.26"
	@touch $@
