# Plimsoll's own commands. `make demo` and `make test` do all the set-up they need.
# Only `deps` (system packages, root) and `venv` (Python packages) use the network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := nmap openssl curl nginx haproxy sslscan gnutls-serv dovecot postgres postfix mariadbd slapd vsftpd prosody xrdp \
  pop3-login lmtp managesieve-login submission-login chromium rsyslogd \
  debootstrap rpm shellcheck systemd-analyze dpkg-source tclsh perl gpgv ip nft
.DEFAULT_GOAL := help
.PHONY: help deps venv lock demo run lint test test-deep bench fuzz chaos packages reference clean

help:
	@echo "make demo       a small real fleet goes from early TLS to TLS 1.2 enforced and back"
	@echo "make test       lint, types and all tests      make test-deep  the long forms too"
	@echo "make run        a manager of your own in ./home, on ports 4119 and 4120"
	@echo "make packages   .deb, .rpm and upgrade archives in dist/: docs/packages.md"
	@echo "make fuzz       the readers of foreign bytes by coverage, FUZZ_SECONDS=60 each"
	@echo "make chaos      kills, partitions, full disks, wrong clocks … on a real site: docs/chaos.md"
	@echo "make bench      speed and memory beside nginx  make lint       ruff and mypy"
	@echo "make deps       system packages (root)         make venv       .venv with everything in it"

# Debian packages that the tests and the benchmark use; nothing is done where all are there.
deps:
	@missing=""; for tool in $(TOOLS); do PATH="$$PATH:/usr/sbin:/sbin:/usr/lib/dovecot:$$(echo /usr/lib/postgresql/*/bin)" command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; mkdir -p /usr/sbin; \
	  apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    $$(echo "$$missing" | sed 's/\bnginx\b/nginx-light/;s/\bgnutls-serv\b/gnutls-bin/;s/\bdovecot\b/dovecot-imapd/;s/\bpostgres\b/postgresql/;s/\bmariadbd\b/mariadb-server-core/;s/\bpop3-login\b/dovecot-pop3d/;s/\blmtp\b/dovecot-lmtpd/;s/\bmanagesieve-login\b/dovecot-managesieved/;s/\bsubmission-login\b/dovecot-submissiond/;s/\brsyslogd\b/rsyslog rsyslog-openssl/;s/\bsystemd-analyze\b/systemd/;s/\bdpkg-source\b/dpkg-dev/;s/\btclsh\b/tcl/;s/\bip\b/iproute2/;s/\bnft\b/nftables/') >/dev/null; fi

venv: $(VENV)/.ready

$(VENV)/.ready: requirements/runtime.txt requirements/dev.txt requirements/assets.toml pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: run 'make deps' as root first" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/runtime.txt -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# Pins are made anew from the .in files; no index address is written into them.
LOCK := --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-emit-options --allow-unsafe -q
lock:
	$(PYTHON) -m venv .lockenv && .lockenv/bin/pip -q install pip-tools
	cd requirements && ../.lockenv/bin/pip-compile $(LOCK) -o runtime.txt runtime.in && ../.lockenv/bin/pip-compile $(LOCK) -o dev.txt dev.in && ../.lockenv/bin/pip-compile $(LOCK) -o fuzz.txt fuzz.in && ../.lockenv/bin/pip-compile $(LOCK) -o packages.txt packages.in

demo: venv
	@$(BIN)/plimsoll demo $(DEMO)

HOME_DIR ?= home
run: venv
	@test -e $(HOME_DIR)/configuration.properties || $(BIN)/plimsoll manager init --home $(HOME_DIR)
	@$(BIN)/plimsoll manager run --home $(HOME_DIR)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: deps venv lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not deep"

test-deep: deps venv lint packages
	PLIMSOLL_DEEP=1 $(BIN)/pytest -n 2 --dist loadfile

# Long faults one after the other, as root: each has a network of its own. Short ones are part of `make test`.
chaos: deps venv
	PLIMSOLL_DEEP=1 $(BIN)/pytest -n 0 --timeout 900 -v -ra -m deep tests/chaos

# The interpreter that they carry is built once, and kept in ~/.cache/plimsoll-packages by what it was made of.
packages: $(VENV)/.packages-ready
	@$(BIN)/python -m packages $(PACKAGES)

$(VENV)/.packages-ready: $(VENV)/.ready requirements/packages.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/packages.txt
	@touch $@

bench: deps venv packages
	@$(BIN)/python -m bench

fuzz: venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/fuzz.txt
	@$(BIN)/python -m tests.fuzz.explore

# docs/reference and plimsoll.client, from the description of REST; a test says when they are not up to date.
reference: venv
	$(BIN)/python -m tests.support.reference

clean:
	rm -rf $(VENV) .lockenv .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
