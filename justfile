# What a developer types. CI runs .ci/run, which needs no just.

[private]
default:
    @just --list --unsorted

# everything but the shims as they are shipped
build:
    cargo build --workspace --locked

# the shims as they are shipped: static, without libc on Linux
shim:
    cargo build --profile shim -p govern-shim --locked

# all tests that need neither the internet nor a real SDK
test *ARGS:
    cargo test --workspace --locked {{ ARGS }}

# format, then lint as CI does
lint: fmt
    cargo clippy --workspace --all-targets --locked -- -D warnings

fmt:
    cargo fmt --all

# the whole road with real Go SDKs
e2e:
    .ci/real-sdks

# every fuzz target for so many seconds, or those that are named
fuzz SECONDS="60" *TARGETS:
    FUZZ_SEED=0 .ci/fuzz {{ SECONDS }} {{ TARGETS }}

# type-check and lint for macOS, from Debian
macos:
    .ci/macos

# a mirror of go.dev/dl on loopback that serves a directory of archives
mirror SDKS *ARGS:
    cargo run --quiet -p govern-tests --bin mirror -- --sdks {{ SDKS }} {{ ARGS }}

# how fast it is, beside what nothing can beat: one table; ARCHIVES are go1.X.Y.OS-ARCH.tar.gz to install
bench ROUNDS="2000" ARCHIVES="":
    cargo build --release --locked -p govern-cli -p govern-daemon
    cargo build --profile shim --locked -p govern-shim
    cargo run --release --locked -p govern-tests --bin bench -- target/release target/shim {{ ROUNDS }} {{ ARCHIVES }}

# licences, sources and advisories of the dependencies
deny:
    cargo deny check

# the book, into docs/book
book:
    mdbook build docs

# all that CI does
ci:
    .ci/run
