# The commands people use. `make demo` needs nothing but make, Python 3.11 and a C compiler.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := setup

PYTHON ?= python3
ENVS := workflow media torch
WORKFLOW := .envs/workflow/bin

# Python keeps what it has compiled, whatever the shell says: without, every start of Snakemake takes
# three times as long, for it compiles a thousand modules.
unexport PYTHONDONTWRITEBYTECODE

# Variables of `make run`; see the README.
VIDEOS ?= videos
AUDIOS ?=
PRESET ?= quick
TARGET ?= all
# nproc would take OMP_NUM_THREADS for the number of cores.
JOBS ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
ARGS ?=
PROFILE ?= default
export VIDEOS AUDIOS PRESET TARGET JOBS ARGS PROFILE

# Variables of `make containers`: the image to start from, where it is (containers/recipe.def), and
# how the result is compressed: zstd for size, lz4 for speed.
BASE ?=
BOOTSTRAP ?=
COMPRESSION ?= zstd
APPTAINER ?= apptainer

.PHONY: setup gpu speech demo run base models doctor queue containers wheels conda test test-cluster \
  bench lint clean

# The environments are made beside each other; with -j given, as make says.
setup:
	@$(MAKE) --no-print-directory --silent $(if $(filter -j%,$(MAKEFLAGS)),,-j$(words $(ENVS))) \
	  $(ENVS:%=.envs/%.stamp)

# mediapipe asks for packages that its face models never use: see envs/media.txt.
.envs/media.stamp: PIP_FLAGS := --no-deps

# face-alignment asks for opencv-python, which cannot be beside the headless one.
.envs/torch.stamp: AFTER := --no-deps -r envs/torch_no_deps.txt
.envs/torch.stamp: envs/torch_no_deps.txt

# The environment of GPU backends, whose packages are compiled against the torch of envs/torch.txt.
gpu: .envs/gpu.stamp

.envs/gpu.stamp: BEFORE := -r envs/torch.txt
.envs/gpu.stamp: PIP_FLAGS := --no-build-isolation
.envs/gpu.stamp: envs/torch.txt

# The environment of HuBERT, wav2vec 2.0 and the pitch: docs/paper_parts.md.
speech: .envs/speech.stamp

.envs/%.stamp: envs/%.txt
	@echo "environment $*: installing"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "$(PYTHON) is not Python 3.11; say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv --clear .envs/$*
	@$(if $(BEFORE),.envs/$*/bin/python -m pip install -qq --no-compile $(BEFORE))
	@.envs/$*/bin/python -m pip install -qq --no-compile $(PIP_FLAGS) -r $<
	@$(if $(AFTER),.envs/$*/bin/python -m pip install -qq --no-compile $(AFTER))
	@touch $@
	@echo "environment $*: ready"

demo: setup demo/videos/.stamp
	@$(WORKFLOW)/python workflow/run.py --configfile config/demo.yaml --jobs "$$JOBS" \
	  --args="$$ARGS"

demo/videos/.stamp: | setup
	@.envs/media/bin/python stages/make_demo_people.py --out demo/videos --size 512 --seconds 12 \
	  --people 3
	@touch $@

run: setup
	@$(WORKFLOW)/python workflow/run.py --videos "$$VIDEOS" --audios "$$AUDIOS" \
	  --preset "$$PRESET" --profile "$$PROFILE" --target "$$TARGET" --jobs "$$JOBS" --args="$$ARGS"

# The base of later runs, out of everybody in $(VIDEOS)/pretrain: docs/base.md. Written anew each time.
base: setup
	@$(WORKFLOW)/python workflow/run.py --configfile config/base.yaml --videos "$$VIDEOS" \
	  --target base --jobs "$$JOBS" --args="--forcerun make_base $$ARGS"

# All files of weights that the configuration says `fetch` of: docs/models.md.
models: setup
	@$(WORKFLOW)/python workflow/run.py --target models --args="$$ARGS"

# What the configuration can run here, and what the rest lacks.
doctor: | .envs/workflow.stamp
	@$(WORKFLOW)/python workflow/run.py --videos "$$VIDEOS" --audios "$$AUDIOS" \
	  --preset "$$PRESET" --profile "$$PROFILE" --target doctor --args="$$ARGS"

# The queue of a SLURM cluster by what jobs do; their names tell runs apart.
queue:
	@squeue --me --format="%.10i %.9P %.60k %.2t %.10M %.10l %R"

# One image per environment for --sdm apptainer, of the same pins: docs/cluster.md. That of the
# environment speech is made when it is named: make containers/speech.sif
containers: $(ENVS:%=containers/%.sif)

containers/%.sif: containers/recipe.def containers/install.sh .cache/wheels/%.stamp
	@echo "image $*: building"
	@$(APPTAINER) build --force --mksquashfs-args="-comp $(COMPRESSION)" --build-arg env=$* \
	  $(if $(BASE),--build-arg base=$(BASE)) $(if $(BOOTSTRAP),--build-arg bootstrap=$(BOOTSTRAP)) \
	  $@ containers/recipe.def > .cache/wheels/$*.log 2>&1 || { cat .cache/wheels/$*.log; exit 1; }
	@echo "image $*: $$(du -m $@ | cut -f1) MB"

containers/gpu.sif: containers/gpu.def envs/torch.txt envs/gpu.txt
	@$(APPTAINER) build --force $@ $<

# What goes into an image is fetched here, with the settings of pip that this machine has.
wheels: $(ENVS:%=.cache/wheels/%.stamp)

.cache/wheels/media.stamp: PIP_FLAGS := --no-deps
.cache/wheels/torch.stamp: AFTER := --no-deps -r envs/torch_no_deps.txt
.cache/wheels/torch.stamp: envs/torch_no_deps.txt
.cache/wheels/%.stamp: envs/%.txt
	@rm -rf .cache/wheels/$* && mkdir -p .cache/wheels/$*
	@$(PYTHON) -m pip wheel -qq $(PIP_FLAGS) -r $< --wheel-dir .cache/wheels/$*
	@$(if $(AFTER),$(PYTHON) -m pip wheel -qq $(AFTER) --wheel-dir .cache/wheels/$*)
	@touch $@

# Definitions for --sdm conda, of the same pins.
conda:
	@$(WORKFLOW)/python envs/make_conda.py

# The same tests run in every environment; those of packages that one lacks are skipped there. They
# and those of the workflow run side by side; the small full runs, which use all cores, come last.
# Threads, memory and compiled kernels are treated as in the workflow (rules/common.smk).
test: export OMP_NUM_THREADS := 1
test: export MALLOC_MMAP_THRESHOLD_ := 1000000000
test: export MALLOC_TRIM_THRESHOLD_ := 2000000000
test: export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba
test: setup .envs/browser.stamp .envs/speech.stamp
	@rm -rf .cache/tests && mkdir -p .cache/tests
	@$(MAKE) --no-print-directory -j$(words $(ENVS)) -k -Otarget $(ENVS:%=.cache/tests/%.xml) \
	  .cache/tests/dag.xml .cache/tests/browser.xml .cache/tests/speech.xml
	@$(WORKFLOW)/python tests/summary.py --everywhere .cache/tests
	@echo "== small full runs"
	@$(WORKFLOW)/python -m pytest tests/workflow/test_small_run.py \
	  --junitxml .cache/tests/small-runs.xml

.cache/tests/dag.xml:
	@echo "== tests of the workflow"
	@$(WORKFLOW)/python -m pytest tests/workflow --ignore tests/workflow/test_small_run.py \
	  --junitxml $@

# The page in a headless Chromium. Where none can be installed these tests skip.
.cache/tests/browser.xml:
	@echo "== tests of the page in a browser"
	@tests/browser/install.sh
	@.envs/browser/bin/python -m pytest tests/browser --junitxml $@

# Networks of sound that transformers runs; nothing else runs in their environment.
.cache/tests/speech.xml:
	@echo "== tests in the environment speech"
	@.envs/speech/bin/python -m pytest tests/unit/test_transformer.py --junitxml $@

# pytest's 5 is "no test here".
.cache/tests/%.xml:
	@echo "== tests in the environment $*"
	@.envs/$*/bin/python -m pytest tests/unit tests/stages --junitxml $@ || [ $$? = 5 ]

# A real SLURM and a real Apptainer on this machine; skipped with the reason where that cannot be.
test-cluster: export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba
test-cluster: setup
	@$(WORKFLOW)/python -m pytest tests/cluster -v -rs --junitxml .cache/tests/cluster.xml

# Environment variables as in the workflow; the suite itself sets the number of threads.
bench: export OMP_NUM_THREADS := 1
bench: export GOMP_SPINCOUNT := 100000
bench: export MALLOC_MMAP_THRESHOLD_ := 1000000000
bench: export MALLOC_TRIM_THRESHOLD_ := 2000000000
bench: export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba
bench: setup
	@.envs/torch/bin/python -m benchmarks --out results/bench.json

lint: .envs/workflow.stamp
	@$(WORKFLOW)/ruff check .
	@$(WORKFLOW)/ruff format --check .
	@$(WORKFLOW)/snakefmt --line-length 100 --check Snakefile workflow
	@$(WORKFLOW)/python workflow/scripts/lint.py

clean:
	rm -rf results demo .cache .snakemake containers/*.sif
