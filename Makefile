# A thin front: every build command is a preset in CMakePresets.json or a script in package.json.
# Each target first sets up what it needs (cmake/setup.sh), and a second run finds it in place.
# `exec cmake`: without a shell, make would take the folder cmake/ of an Emscripten on PATH for the program.

MAKEFLAGS += --no-print-directory
# Steps run one after the other; each of them uses all cores by itself.
.NOTPARALLEL:
.PHONY: help demo test wasm npm page docs bench bench-growth bench-kernels bench-chain bench-gemm bench-instructions lint format clean \
        setup setup-wasm setup-native setup-lint setup-browser setup-firefox setup-node26 \
        test-native test-asan test-wasm test-relaxed test-node test-browser test-consumers

cpp_files := $(shell find src bindings tests -name '*.cpp' -o -name '*.h' 2>/dev/null)
# Bytes, threads, workers, memory: not the command line, options, documents, nor the quantizer, whose bytes golden compares.
engine_tests := $(addprefix tests/node/,abort batch bench collected float format golden images model package pillow planes pool preprocess threads tuning)
node26 := .toolchain/node26/node_modules/.bin/node

help:
	@echo 'make demo      build the package and run the command-line demonstration'
	@echo 'make test      everything that continuous integration checks'
	@echo 'make wasm      the WebAssembly modules        make npm   the npm package (npm/dist)'
	@echo 'make docs      the reference of the API (build/typedoc), of which make test takes every warning for an error'
	@echo 'make test-relaxed  the tests compiled for relaxed SIMD, for a kernel that uses it'
	@echo 'make page      the demo page (web/dist)       make lint  style and static checks'
	@echo 'make bench     comparison with other runtimes make bench-kernels  single kernels'
	@echo 'make bench-growth  milliseconds against image size, width, depth, batch and group size'
	@echo 'make format    fix the style'
	@echo 'make clean     remove what was built; .toolchain/ and node_modules/ stay'

demo: npm
	@npm run --silent demo

test: setup lint test-native test-asan test-wasm test-node test-browser test-consumers

# --- set-up ---------------------------------------------------------------------------------------------------
setup:
	@cmake/setup.sh wasm native lint node26 browser firefox

setup-wasm setup-native setup-lint setup-browser setup-firefox setup-node26:
	@cmake/setup.sh $(@:setup-%=%)

# --- builds ---------------------------------------------------------------------------------------------------
wasm: setup-wasm
	exec cmake --workflow --preset wasm-modules

npm: wasm
	npm run --silent build

docs: setup-browser
	npm run --silent docs

page: npm
	npm run --silent page

# --- tests ----------------------------------------------------------------------------------------------------
test-native: setup-native
	exec cmake --workflow --preset native

test-asan: setup-native
	exec cmake --workflow --preset asan

test-wasm: setup-wasm
	exec cmake --workflow --preset wasm

# Not part of `make test`: while no kernel uses relaxed SIMD, the modules compiled for it are the same bytes (DESIGN.md).
test-relaxed: setup-wasm
	exec cmake --workflow --preset wasm-relaxed

# The package as users get it, under the oldest Node it supports and, for what depends on the engine, under a new one.
test-node: npm setup-node26
	npm run --silent typecheck
	npm run --silent docs
	node node_modules/vitest/vitest.mjs run --project node
	$(node26) node_modules/vitest/vitest.mjs run --project node $(engine_tests)

test-browser: page setup-browser
	node node_modules/vitest/vitest.mjs run --project browser

# The packed package in folders of its own: bundlers, browsers, two versions of Node, TypeScript. Needs no network.
test-consumers: npm setup-browser setup-firefox setup-node26
	node node_modules/vitest/vitest.mjs run --project consumers

# Against onnxruntime-web, LiteRT.js and tfjs: tests/bench/peers/README.md. The first run makes the models.
bench: npm setup-browser setup-node26
	node tests/bench/peers/compare.mjs $(ARGS)

# Cost against image size, width, depth, batch and group size: tests/bench/growth/growth.md.
bench-growth: npm setup-node26
	$(node26) tests/bench/growth/growth.mjs $(ARGS)

# --no-liftoff: V8's baseline compiler is not what is to be timed. make bench-kernels ARGS='3x3 500' narrows it down.
bench-kernels: setup-wasm
	exec cmake --workflow --preset bench
	node --no-liftoff build/wasm/tests/kernel_bench.js $(ARGS)

# All ternary convolutions of a ResNet-50, one after the other, as the network runs them.
bench-chain: setup-wasm
	exec cmake --workflow --preset bench
	node --no-liftoff build/wasm/tests/chain_bench.js $(ARGS)

# The float evaluator's matrix product beside Eigen's.
bench-gemm: setup-wasm
	exec cmake --workflow --preset bench
	node --no-liftoff build/wasm/tests/gemm_bench.js $(ARGS)

# What the test `instructions` compares with: renew it where a kernel's count has changed by intent.
bench-instructions: setup-native
	exec cmake --workflow --preset instructions
	node tests/bench/instructions.mjs build/native/tests/kernel_instructions --renew

# --- style ----------------------------------------------------------------------------------------------------
lint: setup-lint setup-native
	python3 cmake/check_includes.py --self-test && python3 cmake/check_includes.py
	clang-format-19 --dry-run -Werror $(cpp_files)
	exec cmake --workflow --preset lint
	run-clang-tidy-19 -quiet -p build/native 'src/.*\.cpp$$'
	npm run --silent lint

format: setup-lint
	clang-format-19 -i $(cpp_files)
	npm run --silent format

clean:
	rm -rf build npm/dist npm/wasm web/dist
