PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.set-up

.PHONY: setup programs demo test test-full crash check keeper exit-codes footprint pictures record format lock clean bench-rollouts bench-judge bench-equals bench-watches bench-alerts bench-storm alert-crash exposure

setup: $(SETUP)

$(SETUP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Holdfast needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/python -m examples.demo

# What tests stand on is obtained before them, once: a build of minutes has no place in a test's time.
programs: setup
	@$(BIN)/python -m tests.programs

# Two at a time: the tests mostly wait for real programs, and the machines have two cores.
test: programs
	$(BIN)/pytest -n $${HOLDFAST_TEST_JOBS:-2} --dist worksteal -m "not full"

# What `test` leaves out: the image, and further cases of what it shows.
test-full: programs
	$(BIN)/pytest -n $${HOLDFAST_TEST_JOBS:-2} --dist worksteal -m full

# Every death of the matrix, of which `test` runs some.
crash: programs
	HOLDFAST_CRASH=full $(BIN)/pytest tests/crash -n $${HOLDFAST_TEST_JOBS:-2} --dist worksteal

# 10,000 alerts while gateway, workers and Temporal are killed every five seconds in turn: is any of them lost?
alert-crash: programs
	HOLDFAST_CRASH=full $(BIN)/pytest tests/crash/test_alerts.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# How long after its deadline a canary that nobody renews still gets traffic; 40 seconds.
keeper: setup
	@$(BIN)/python -m benchmarks.keeper

# Memory and database size of what production runs, after twenty rollouts; four minutes.
footprint: setup
	@$(BIN)/python -m benchmarks.footprint

# How long users meet a version that fails one in five, and how many do; eight minutes.
exposure: setup
	@$(BIN)/python -m benchmarks.exposure $(ARGS)

# Counts wrong exit codes of 200 short commands on a busy machine; three minutes.
exit-codes: setup
	@$(BIN)/python -m benchmarks.exit_codes

# Rollouts per second against bare workflows, memory of open ones, events of a history; `ARGS=--json`, `ARGS=--help`.
bench-rollouts: setup
	@$(BIN)/python -m benchmarks.rollouts $(ARGS)

# How many rollouts one worker judges each second, on one core; two minutes; `ARGS=--help`.
bench-watches: setup
	@$(BIN)/python -m benchmarks.watches $(ARGS)

# Alerts per second against bare Temporal, pages beside Alertmanager's, escalations' lateness; `ARGS=--help`.
bench-alerts: setup
	@$(BIN)/python -m benchmarks.alerts $(ARGS)

# 50,000 alerts of 500 keys in five minutes: is any lost, and how much memory does the gateway take?
bench-storm: setup
	@$(BIN)/python -m benchmarks.alert_storm $(ARGS)

# How often the judge is wrong and how soon it is right, beside other tools' rules; half an hour; `ARGS=--help`.
bench-judge: setup
	@$(BIN)/python -m benchmarks.judge $(ARGS)

# How often equals are rolled back, by what is assumed and by what was learnt from them; six minutes; `ARGS=--help`.
bench-equals: setup
	@$(BIN)/python -m benchmarks.judge_equals $(ARGS)

# Takes the pictures in docs/images/ from real rollouts; ui.png wants chromium.
pictures: setup
	@$(BIN)/python -m docs.images.make

# Records the histories that tests/replay/ lacks; a released one is never recorded anew.
record: setup
	$(BIN)/python -m tests.replay.record

format: setup
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: setup
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet --extra dev \
	  -o requirements-dev.lock

clean:
	rm -rf .venv .holdfast .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
