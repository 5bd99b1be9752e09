# `make run` starts a demo server, `make test` runs every test. Both install what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: help run test check lint ci bench setup clean-demo

help:
	@echo "make run     set up, build and start a demo server on http://127.0.0.1:8008"
	echo "make test    set up and run every test, foreign clients and a foreign server included"
	echo "make check   the quick loop: form, floor plan, workspace tests"
	echo "make lint    form, floor plan and clippy"
	echo "make ci      everything a change must pass, foreign clients excepted"
	echo "make bench   measure the release build"

setup:
	@tools/setup

run: setup
	@exec tools/demo

test:
	@tools/setup tests
	exec tools/test

check: setup
	@. tools/env
	exec cargo xtask check

lint: setup
	@. tools/env
	exec cargo xtask lint

ci: setup
	@. tools/env
	exec cargo xtask ci

bench: setup
	@. tools/env
	exec cargo xtask bench

clean-demo:
	@rm -rf data/demo
