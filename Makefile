# `make demo` and `make test` are all a new machine needs: Python 3.11+, make and git.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help install demo test unit lint format lock clean

help: ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

install: .venv/installed ## Make .venv with the pinned dependencies and the lexstream command

.venv/installed: requirements/uv.txt requirements/dev.txt pyproject.toml
	@echo "Installing into .venv (about 5 GB with torch; a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install ## The whole story on this machine, in about three minutes
	@$(BIN)/lexstream demo

test: install lint ## Lint, types and the whole suite, with real brokers
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

unit: install ## The tests that need neither broker nor minutes
	$(BIN)/python -m pytest -m "not broker and not slow"

lint: install ## ruff and mypy, warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
lock: ## Pin the newest versions that requirements/*.in allow
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/main.in -c requirements/dev.txt -o requirements/main.txt

clean: ## Remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
