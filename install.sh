#!/usr/bin/env bash
# Builds govern, installs it for the user who calls this, starts the daemon and installs a Go. May be run again.
#
#   ./install.sh                    into ~/.local/share/govern, with a line in the shells' start-up files
#   ./install.sh --no-modify-path   leaves the start-up files alone
#   GOVERN_HOME=/x ./install.sh     puts everything under /x
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    printf 'hint: %s\n' "$@" >&2
    exit 1
}

if ! command -v cargo >/dev/null 2>&1 && [[ -r ${CARGO_HOME:-${HOME:-}/.cargo}/env ]]; then
    # shellcheck disable=SC1091
    . "${CARGO_HOME:-${HOME:-}/.cargo}/env"
fi
command -v cargo >/dev/null 2>&1 ||
    fail 'cargo is not installed: govern is built from source' \
        'https://rustup.rs says how to get it; Debian has it as `apt-get install cargo`, Fedora as `dnf install cargo`'
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
    fail 'there is no C compiler: SQLite and the cryptography are built from source' \
        'apt-get install gcc libc6-dev    dnf install gcc    xcode-select --install'
if [[ -z ${GOVERN_HOME:-} && -z ${HOME:-} ]]; then
    fail 'HOME is not set: there is no place to install into' 'GOVERN_HOME=/opt/govern ./install.sh'
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p govern-cli -p govern-daemon
cargo build --profile shim --locked -p govern-shim

"$target/release/govern" setup --shims "$target/shim" "$@"

# From here on by the installed programs, which find their home by their own path: as cron or an editor would call them.
if [[ -n ${GOVERN_HOME:-} ]]; then
    bin=$GOVERN_HOME/bin
else
    bin=${XDG_DATA_HOME:-$HOME/.local/share}/govern/bin
fi
"$bin/govern" daemon restart
# What a directory without a wish gets: the default, else the newest release.
(cd / && "$bin/govern" install)

printf '\n$ go version\n'
(cd / && "$bin/go" version)
printf '\n$ govern explain\n'
(cd / && "$bin/govern" explain)
