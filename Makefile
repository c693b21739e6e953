# boardllama. `make help` lists everything; `make up` and `make test` need nothing done before.

INVENTORY ?= inventory/qemu.py
VENV := .venv
PYTHON := $(VENV)/bin/python
BOARDLLAMA := $(PYTHON) -m deploy.command

export PYTHONDONTWRITEBYTECODE := 1
# Modules of deploy/ are found in the current folder: always run from here.
.DEFAULT_GOAL := help
.PHONY: help up vm deploy models pin releases rollback fleet-report verify answers browser doctor tune tunes image flash labels \
    down ssh log status test networks rehearsals builds fits bases boots faults soak bench fleet mutants docs check lint types unit setup clean

help: ## List every target
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@boards=$$(python3 -m deploy.image.board_names 2>/dev/null) && echo "  $$boards" || echo "  BOARD: docs/how-to/images.md lists them"

up: $(VENV)/ready ## Main job: VM, build, deploy, verify, first answer
	$(BOARDLLAMA) up

vm: $(VENV)/ready ## Start the QEMU arm64 VM, or say that it runs
	$(BOARDLLAMA) vm up

deploy: $(VENV)/ready ## Converge INVENTORY (default: the VM); with BUNDLE=file on a controller without a network
	$(BOARDLLAMA) deploy $(INVENTORY) $(call given,BUNDLE,bundle)

models: $(VENV)/ready ## List the models by name, and what fits; HOST= or INVENTORY= asks these boards
	@$(BOARDLLAMA) models $(if $(or $(HOST),$(filter command,$(origin INVENTORY))),$(INVENTORY)) $(call given,HOST,limit)

pin: $(VENV)/ready ## Ask the hub for the pin of REPO=owner/name FILE=x.gguf (REVISION=, PROJECTOR=, DRAFT=), to paste
	@$(BOARDLLAMA) pin --repo $(call quoted,$(or $(REPO),$(error say REPO=owner/name FILE=x.gguf))) \
	    --file $(call quoted,$(or $(FILE),$(error say REPO=owner/name FILE=x.gguf))) $(call given,REVISION,revision) \
	    $(call given,PROJECTOR,projector) $(call given,DRAFT,draft)

releases: $(VENV)/ready ## Show the releases of every target of INVENTORY
	@$(BOARDLLAMA) releases $(INVENTORY)

rollback: $(VENV)/ready ## Go back to the release before (TO=ID: to that one) on every target of INVENTORY
	$(BOARDLLAMA) rollback $(INVENTORY) $(call given,TO,to)

.PHONY: uninstall
uninstall: $(VENV)/ready ## Remove boardllama from every host of INVENTORY (MODELS=1: models, too; YES=1: ask nothing): docs/how-to/remove.md
	$(BOARDLLAMA) uninstall $(INVENTORY) $(call agreed,MODELS,models) $(call agreed,YES,yes)

fleet-report: $(VENV)/ready ## Show every board of INVENTORY: tokens/s, requests, heat, release, last deploy
	@$(BOARDLLAMA) fleet-report $(INVENTORY)

verify: $(VENV)/ready ## Judge every target of INVENTORY, or HOST= of it, by the board suite (CLIENTS=1: by official clients, too)
	$(BOARDLLAMA) verify $(INVENTORY) $(call given,HOST,host) $(call agreed,CLIENTS,clients)

answers: $(VENV)/ready ## Ask every target of INVENTORY the same questions, and say which answers an upgrade changed
	$(PYTHON) -m tests.board.answers $(INVENTORY)

browser: $(VENV)/ready ## Look at the fleet's page and chat with the VM's web UI in Chromium (PICTURE=docs/web-ui.png: its picture)
	$(PYTHON) -m pytest tests/monitor/browser
	$(PYTHON) -m pytest tests/board/browser --inventory=$(INVENTORY) $(if $(PICTURE),--picture=$(PICTURE))

doctor: $(VENV)/ready ## Say what is wrong with a board: HOST=name-or-address, or HOST=qemu
	@$(BOARDLLAMA) doctor '$(or $(HOST),$(error HOST= says which board: make doctor HOST=boardllama-a1b2c3.local))'

tune: $(VENV)/ready ## Have each target of INVENTORY find what is fastest on it (LIMIT=, WEIGHT=, MINUTES=, STOP_SERVING=1): docs/how-to/tune.md
	@$(BOARDLLAMA) tune $(INVENTORY) $(call given,LIMIT,limit) $(call given,WEIGHT,weight) $(call given,MINUTES,minutes) \
	    $(call agreed,STOP_SERVING,stop-serving)

.PHONY: channel bundle reports
channel: $(VENV)/ready ## Publish the releases of INVENTORY's channels at DEST=folder|user@host:path (RESUME=1): docs/how-to/fleet.md
	$(BOARDLLAMA) channel $(INVENTORY) $(call given,DEST,dest) $(call agreed,RESUME,resume) $(call given,BUNDLE,bundle)

bundle: $(VENV)/ready ## Write what INVENTORY's channels offer, for a site without a network, into OUT=file: docs/how-to/fleet.md
	$(BOARDLLAMA) bundle $(INVENTORY) --out $(call quoted,$(or $(OUT),$(error say OUT=file)))

reports: $(VENV)/ready ## Take what boards that pull report, into FOLDER=folder (PORT=8418)
	@$(BOARDLLAMA) reports $(call quoted,$(or $(FOLDER),$(error say FOLDER=folder))) $(call given,PORT,port)

image: $(VENV)/ready ## Make BOARD's disk image (MODEL=, SIZE=; BASE= edits a vendor's), prove it, sign it: dist/
	$(BOARDLLAMA) image $(if $(BOARD),$(call quoted,$(BOARD))) $(call given,BASE,base) $(call given,SHA256,sha256) \
	    $(if $(MODEL),--model $(call quoted,$(MODEL))) $(if $(SIZE),--size $(call quoted,$(SIZE)))

down: ## Stop the VM; nothing is left running
	@if test -e $(VENV)/ready; then $(BOARDLLAMA) vm down; fi

ssh: $(VENV)/ready ## Open a shell on the VM
	@$(BOARDLLAMA) vm ssh

log: $(VENV)/ready ## Show the VM's console log
	@$(BOARDLLAMA) vm log

status: $(VENV)/ready ## Say whether the VM runs, and where it answers
	@$(BOARDLLAMA) vm status

# Two workers for two cores: with a third, guests wait for each other so long that tests of restarts and of warm prompts fail now and
# then. To each a file belongs as a whole: the longest come first, so that none is left for the end.
SPREAD = -n 2 --dist loadfile --no-loadscope-reorder --durations=25
first = $(1) $(filter-out $(1),$(wildcard $(2)))
VM_TESTS = $(call first,tests/faults $(patsubst %,tests/vm/test_%.py,fit several releases deploy answers service),tests/vm/test_*.py) \
    tests/board/test_board.py $(wildcard tests/build/test_*.py tests/monitor/test_*.py)
IMAGE_TESTS = $(call first,$(patsubst %,tests/image/test_%.py,interrupted reproducible base base_killed),tests/image/test_*.py tests/flash)

test: setup ## Every test: lint, types, unit, build, VM, cards, images
	@$(MAKE) --no-print-directory lint types unit
	$(PYTHON) -m pytest $(SPREAD) -m "not further_build and not further_fit" $(VM_TESTS)
	$(AS_ROOT) $(PYTHON) -m pytest $(SPREAD) $(IMAGE_TESTS); status=$$?; $(GIVE_BACK); exit $$status

networks: setup ## Channels, sites, boards that share and gateways, by the programs that serve them: some minutes
	$(AS_ROOT) $(PYTHON) -m pytest --durations=0 tests/channel tests/gateway tests/fleet; status=$$?; $(GIVE_BACK); exit $$status

rehearsals: setup ## Install a wheel, write an inventory, rehearse it on virtual boards: some minutes
	$(PYTHON) -m pytest -s --durations=0 tests/rehearsal

builds: setup ## Compile for every CPU, and ask each build what the generic one is asked
	$(PYTHON) -m pytest tests/build/test_answers.py

fits: setup ## Compare the estimate of memory with what llama-server takes in a VM, for every family of models
	$(PYTHON) -m pytest tests/vm/test_fit.py

boots: setup ## Start the image of efi from every kind of disk; make the images that QEMU cannot start
	$(AS_ROOT) $(PYTHON) -m pytest -s --durations=0 tests/boots; status=$$?; $(GIVE_BACK); exit $$status

bases: setup ## Make appliances of likenesses of vendors' images, and boot each
	$(AS_ROOT) $(PYTHON) -m pytest -s tests/bases; status=$$?; $(GIVE_BACK); exit $$status

faults: setup ## Try every fault on a VM (ONLY=, SEED=, COUNT=); writes docs/explanation/faults.md
	$(PYTHON) -m tests.faults $(if $(ONLY),--only '$(ONLY)') $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT))

soak: setup ## Every kind of client at once on a VM (MINUTES=60, SHAPE=gemma3): memory stays within its estimate
	$(PYTHON) -m tests.vm.soak $(or $(MINUTES),60) $(or $(SHAPE),gemma3)

bench: setup ## Measure llama.cpp of five origins in turn (CPUS=, CONTENDERS=, ROUNDS=5, SHAPE=small, AGAINST=newest, REPORT=1)
	@$(BOARDLLAMA) bench $(call given,CPUS,cpus) $(call given,CONTENDERS,contenders) $(call given,ROUNDS,rounds) \
	    $(call given,SHAPE,shape) $(call given,AGAINST,against) $(call agreed,REPORT,report)

fleet: setup ## Deploy to N=50 simulated boards, beside Ansible (SIZES=, VMS=2, RIVALS=none, SCENARIOS=, REPORT=1)
	$(PYTHON) -m tests.fleet $(call given,N,n) $(call given,SIZES,sizes) $(call given,VMS,vms) $(call given,RIVALS,rivals) \
	    $(call given,SCENARIOS,scenarios) $(call agreed,REPORT,report)

.PHONY: upgrade
upgrade: setup ## Deploy with an older version of this code (OLD=commit; default: the last tag) on a VM, then with this one
	BOARDLLAMA_OLD=$(call quoted,$(OLD)) $(PYTHON) -m pytest -s tests/vm/upgrade.py

tunes: setup ## Have a VM one of whose cores is slow tune itself, and cut sweeps short: a quarter of an hour
	$(PYTHON) -m pytest -s tests/vm/tuning.py

mutants: setup ## Put COUNT=200 small faults into the code (SEED=1, ONLY=path): which does no unit test notice?
	nice -n 5 $(PYTHON) -m tests.mutants $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

# A list of its own: those above grow.
.PHONY: fuzz
fuzz: $(VENV)/ready ## Give what reads strangers' bytes INPUTS=100000 of them (SEED=1, ONLY=reader, REPORT=1): docs/explanation/fuzzing.md
	@nice -n 19 $(PYTHON) -m tests.fuzz $(call given,INPUTS,inputs) $(call given,SEED,seed) $(call given,ONLY,only) $(call agreed,REPORT,report)

docs: $(VENV)/ready ## Write the tables and schemas of docs/ again that are made from the code; then `make site`
	$(PYTHON) -m deploy.reference
	@$(MAKE) --no-print-directory site

check: lint types unit ## Lint, types and unit tests: hermetic, no VM, no root

lint: $(VENV)/ready ## Check style, and which room of deploy/ imports which
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/lint-imports --no-logo --no-cache

types: $(VENV)/ready ## Check types
	$(VENV)/bin/mypy

# The unit tests start hundreds of programs of ours, each of which would be compiled anew.
unit: export PYTHONDONTWRITEBYTECODE :=
unit: $(VENV)/ready ## Run the unit tests
	$(PYTHON) -m pytest -q -n 2 --dist worksteal tests/unit

setup: $(VENV)/ready ## Install what is missing: Debian packages, then the pinned Python packages
	@sh deploy/controller/setup.sh packages

# Only what stands on the command line counts: shells export a HOSTNAME of their own.
quoted = '$(subst ','\'',$(1))'
given = $(if $(filter command,$(firstword $(origin $(1)))),--$(2) $(call quoted,$($(1))))
agreed = $(if $(call says_yes,$(1)),--$(2))
says_yes = $(if $(filter-out 1 y yes true 0 n no false,$($(1))),$(error $(1)=$($(1)) says neither yes nor no: \
    write $(1)=1, or leave it out))$(filter 1 y yes true,$($(1)))
# Secrets go as variables: sudo logs words, and `ps` shows them. Others export an API_KEY, so ours have a name of ours.
hidden = $(if $(filter command environment file,$(firstword $(origin BOARDLLAMA_$(1)))),--from-environment $(2))
ifneq ($(filter command,$(origin WIFI_PASSWORD)),)
export BOARDLLAMA_WIFI_PASSWORD = $(WIFI_PASSWORD)
endif
ifneq ($(filter command,$(origin API_KEY)),)
export BOARDLLAMA_API_KEY = $(API_KEY)
endif
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=$(KEPT))
KEPT = HOME,BOARDLLAMA_KEYS,BOARDLLAMA_CACHE,BOARDLLAMA_MIRROR,PYTHONDONTWRITEBYTECODE
# What root made in the user's cache becomes the user's; the trees of tests/image and of the fleet hold root's own files.
GIVE_BACK = $(if $(AS_ROOT),sudo find "$${BOARDLLAMA_CACHE:-$$HOME/.cache/boardllama}" .pytest_cache \( -name test-trees \
    -o -path '*/fleet/trees' \) -prune -o -user root -exec chown -h "$$(id -u):$$(id -g)" {} +,true)

# What is said of every board, to `make flash` and to `make labels`.
identity = $(call given,HOSTNAME,hostname) $(call given,SSH_KEY,ssh-key) $(call given,WIFI_SSID,wifi-ssid) \
    $(call hidden,WIFI_PASSWORD,wifi_password) $(call given,WIFI_COUNTRY,wifi-country) $(call given,ADDRESS,address) \
    $(call given,GATEWAY,gateway) $(call given,DNS,dns) $(call hidden,API_KEY,api_key) $(call given,TIMEZONE,timezone)

flash: $(VENV)/ready ## Write a signed image to cards and prove it (IMAGE=, DEVICE=, HOSTNAME=, SSH_KEY=): docs/how-to/cards.md
	@$(BOARDLLAMA) flash $(if $(IMAGE),$(call quoted,$(IMAGE))) $(call given,DEVICE,device) \
	    $(call given,DEVICES,devices) $(call given,TO_FILE,to-file) $(call agreed,YES,yes) $(call agreed,EVERYTHING,everything) \
	    $(foreach serial,$(SERIAL),--serial $(call quoted,$(serial))) \
	    $(if $(word 2,$(SERIAL)),--serial $(call quoted,$(SERIAL))) $(call given,CSV,csv) $(call given,RESULTS,results) \
	    $(call given,ALLOWED_SIGNERS,signers) $(identity)

labels: $(VENV)/ready ## Print stickers for the boards of CSV=boards.csv (STOCK=, START=, PORT=, TO_FILE=): name, address, QR code
	@$(BOARDLLAMA) labels $(call given,CSV,csv) $(call given,TO_FILE,to-file) $(call given,STOCK,stock) \
	    $(call given,START,start) $(call given,PORT,port) $(identity)

$(VENV)/ready: requirements.lock
	@sh deploy/controller/setup.sh venv $(VENV)
	@touch $@

# What whoever publishes needs, in a venv of its own: Python 3.11 or newer.
TOOLS := .venv-tools
$(TOOLS)/ready: requirements-tools.lock
	@sh deploy/controller/setup.sh venv $(TOOLS) $<
	@touch $@

.PHONY: lock audit sbom site recordings licences
LOCK = UV_CUSTOM_COMPILE_COMMAND='make lock' $(TOOLS)/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate
lock: $(TOOLS)/ready ## Pin all Python packages that pyproject.toml needs, with hashes; UPGRADE=1 takes the newest
	$(LOCK) --python-version 3.10 $(if $(call says_yes,UPGRADE),--upgrade) --group dev pyproject.toml -o requirements.lock
	$(LOCK) --python-version 3.11 $(if $(call says_yes,UPGRADE),--upgrade) --group release --group docs -o requirements-tools.lock

audit: $(VENV)/ready $(TOOLS)/ready ## Ask PyPI for known vulnerabilities of the pinned Python packages
	@$(PYTHON) -m deploy.controller.audit $(TOOLS)/bin/pip-audit requirements.lock requirements-tools.lock

sbom: $(VENV)/ready $(TOOLS)/ready ## Write what Python packages the controller runs with, as CycloneDX: dist/release
	@mkdir -p dist/release
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --short-PURLs \
	    -o dist/release/boardllama-$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml).cdx.json $(VENV)

# Pages link each other by their places in the repository: the site has them at the same places.
site: $(TOOLS)/ready ## Make a site of all pages: dist/site. No network is asked; a dead link fails
	@rm -rf dist/site-source && mkdir -p dist/site-source && cp -R *.md docs dist/site-source/
	NO_MKDOCS_2_WARNING=1 $(TOOLS)/bin/mkdocs build --strict --clean --config-file docs/site.yml --site-dir ../dist/site

recordings: $(VENV)/ready ## Record what commands print as moving pictures: docs/recordings (ONLY=up); flash needs an image in dist/
	$(PYTHON) -m tests.recordings $(ONLY)

licences: $(VENV)/ready ## Write deploy/build/licences.txt again, from the default build that this builder has compiled
	$(PYTHON) -m deploy.reference.licences

clean: down ## Remove the VM and the venv; the caches in ~/.cache/boardllama stay
	rm -rf .vm $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
