# Each target does all of its own set-up. `make` alone lists them.
SHELL := /bin/bash
NODE := ./node_modules/.bin/node
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help demo stop test check format contracts setup bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:
	@deploy/local/scripts/setup.sh

demo: setup ## the whole story on an embedded cluster; KEEP=1 leaves it up
	@$(NODE) deploy/local/src/cli/demo.ts $(if $(KEEP),--keep)

stop: setup ## stop what `make demo KEEP=1` left up
	@$(NODE) deploy/local/src/cli/local.ts down
	@rm -f .cupel/demo.json

test: setup ## every test there is: unit, contracts, architecture, integration, end to end
	@$(NODE) test/run.ts $(LAYERS)

check: setup ## types, lint, format, generated files: seconds
	@$(NODE) test/check.ts

format: setup ## format the TypeScript files
	@oxfmt --write .

contracts: setup ## build and test the contracts
	@$(NODE) test/run.ts contracts

bench: setup ## ratios against baselines, in one run
	@$(NODE) test/load/run.ts
