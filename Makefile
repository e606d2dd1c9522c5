# Every target is one command that also works by hand. `make` alone lists them.
# Variables: CSV=<file> (demo), ENGINE=pulumi (demo, up), CONTAINERS=docker or podman (up), BASE=<branch> (quick), STACK=<stack> (up, push), PYTHON=<interpreter> (setup), EFA_INSTALLER_VERSION and EFA_INSTALLER_SHA256 (images, push)

SHELL := /bin/sh
BIN := .venv/bin
PY := $(BIN)/python
COMMIT = $(shell git rev-parse HEAD)
# Many tests wait for processes and clocks: a worker more than there are processors keeps these busy.
WORKERS = -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses 9 --dist loadgroup
export PYTHON ENGINE EFA_INSTALLER_VERSION EFA_INSTALLER_SHA256

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo up down pulumi conformance test lint unit quick record coverage drills clients referees format lock audit sbom images push clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  %-11s %s\n' "$$name" "$$what"; done

setup:  ## install the locked packages into .venv (every other target does it by itself)
	@sh scripts/setup.sh

demo: setup  ## deploy into an AWS in memory and run a CSV through it; CSV=path for one of yours; ENGINE=pulumi deploys by your Pulumi CLI
	@$(PY) -m cli demo $(if $(CSV),"$(CSV)")

up: setup  ## keep that AWS running, and print commands for the ordinary aws and Pulumi CLIs; STACK=dev, prod or a path for another stack; CONTAINERS=docker for images of your own
	@$(PY) -m cli up $(if $(STACK),--stack "$(STACK)") $(if $(CONTAINERS),--containers $(CONTAINERS))

down: setup  ## end what `up` started
	@$(PY) -m cli down

pulumi:  ## say where the Pulumi CLI is; where there is none and Go is, build it once, in four minutes
	@sh scripts/pulumi.sh

conformance: setup  ## the tests that hold our engine to the Pulumi CLI; ARGS="-m drill" plays the whole book of changes, in hours
	@CONFORMANCE_REQUIRED=1 $(PY) -m pytest tests/conformance $(ARGS)

test: lint unit  ## everything that CI runs: lint, then the tests

lint: setup  ## format, lint rules, types, import layers, containers, workflows
	@sh scripts/lint.sh

# The tests of a file, and of files that share a mark, stay in one worker: they share costly fixtures, such as a deployed stack. Many tests run real
# processes against deadlines, and a busy machine can miss one: what failed beside others runs once more, alone. A fault fails twice, and what passes
# then is named as a flake.
unit: setup  ## the tests; ARGS="tests/config -k queue" narrows them down
	@$(PY) -m pytest $(WORKERS) $(ARGS) || { \
	  echo "unit: once more, alone, what failed beside others"; \
	  $(PY) -m pytest --second-chance --last-failed --last-failed-no-failures none $(ARGS); }

quick: lint  ## lint, types and the tests nearest to what has changed since BASE (main), in a minute and a half
	@$(PY) scripts/quick.py --base "$(or $(BASE),main)"

record: setup  ## all tests, and note what each file took, for the order of `unit` and the choice of `quick`
	@$(PY) -m pytest $(WORKERS) --record-seconds

coverage: setup  ## which lines the tests run, those of jobs and functions too; ARGS as for unit
	@mkdir -p .local
	@$(PY) -m pytest $(WORKERS) --cov --cov-report=term:skip-covered \
		--cov-report=html:.local/coverage --cov-report=markdown:.local/coverage.md $(ARGS)

drills: setup  ## the tests at full scale: a thousand uploads at once, twenty kills
	@$(PY) -m pytest -m drill --ignore=tests/conformance $(ARGS)

clients: setup  ## third-party clients against the AWS in memory, each in an environment of its own; ARGS="-k redun" narrows them down
	@sh scripts/clients.sh $(ARGS)

referees: setup  ## linters of others over what dev, prod and the examples make, in an environment of their own; a finding without an answer fails
	@sh scripts/referees.sh $(ARGS)

format: setup  ## format the code and mend what the linter can mend
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

lock: setup  ## resolve the dependency lists of pyproject.toml again, into requirements/
	@sh scripts/lock.sh $(ARGS)

audit: setup  ## look up what is known against the locked packages
	@for lock in requirements.txt requirements/*.lock; do \
	  echo "audit: $$lock"; $(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement $$lock || exit 1; done

sbom: setup  ## list what is in both images, as SPDX, in .local/sbom
	@mkdir -p .local/sbom
	@for image in cpu gpu; do \
	  docker buildx build --platform linux/amd64 --sbom=true --provenance=false --build-arg GIT_COMMIT=$(COMMIT) --build-arg EFA_INSTALLER_VERSION \
	    --build-arg EFA_INSTALLER_SHA256 --file docker/$$image.Dockerfile --output type=tar,dest=- . \
	    | tar --extract --to-stdout --file - sbom.spdx.json >.local/sbom/$$image.spdx.json && test -s .local/sbom/$$image.spdx.json || exit 1; \
	  echo "sbom: .local/sbom/$$image.spdx.json"; done

images: setup  ## build both container images here, without publishing them
	docker buildx build --load --platform linux/amd64 --build-arg GIT_COMMIT=$(COMMIT) --file docker/cpu.Dockerfile --tag batch-reference/cpu .
	docker buildx build --load --platform linux/amd64 --build-arg GIT_COMMIT=$(COMMIT) \
		--build-arg EFA_INSTALLER_VERSION --build-arg EFA_INSTALLER_SHA256 --file docker/gpu.Dockerfile --tag batch-reference/gpu .

push: setup  ## build and push the images of STACK, write their digests into Pulumi.STACK.yaml
	@PATH="$$PATH:$(CURDIR)/$(BIN)" $(PY) scripts/push_images.py --stack "$(or $(STACK),$(error say which stack: make push STACK=dev))"

clean:  ## remove caches and what the demo left behind; .venv stays
	@if [ -x $(PY) ]; then $(PY) -m cli down >/dev/null 2>&1 || true; fi
	rm -rf .local .coverage* .clients .referees .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
