#!/bin/sh
# Builds govern, installs it for the user who calls this, starts the daemon and installs a Go. May be run again.
#
#   ./install.sh                    into ~/.local/share/govern, with a line in the shells' start-up files
#   ./install.sh --no-modify-path   leaves the start-up files alone
#   GOVERN_HOME=/x ./install.sh     puts everything under /x

set -eu

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for hint; do printf 'hint: %s\n' "$hint" >&2; done
    exit 1
}

for word; do
    case $word in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
    --no-modify-path) ;;
    *)
        printf 'error: `%s` is no option of install.sh\nhint: ./install.sh --help\n' "$word" >&2
        exit 2
        ;;
    esac
done

cd "$(dirname "$0")"

if [ -z "${HOME:-}" ]; then
    HOME=$(eval "echo ~$(id -un)")
    [ -d "$HOME" ] || fail 'HOME is not set: there is no place to install into' 'HOME=/where/you/live ./install.sh'
    export HOME
fi

if ! command -v cargo >/dev/null 2>&1 && [ -r "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
    . "${CARGO_HOME:-$HOME/.cargo}/env"
fi
command -v cargo >/dev/null 2>&1 || fail 'cargo is not installed, and govern is built from source' \
    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" \
    'Debian, Ubuntu: apt-get install cargo    Fedora: dnf install cargo    where they are as new as rust-version in Cargo.toml'
# rustup's cargo is no cargo before a toolchain was chosen.
cargo --version >/dev/null 2>&1 || fail 'cargo is here, but does not run' 'cargo --version' 'rustup default stable'
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
    fail 'there is no C compiler, and SQLite is built from source' \
        'Debian, Ubuntu: apt-get install gcc libc6-dev    Fedora: dnf install gcc    macOS: xcode-select --install'

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --target-dir "$target" -p govern-cli -p govern-daemon
# The shims have a profile of their own: static, and without libc on Linux.
cargo build --profile shim --locked --target-dir "$target" -p govern-shim

"$target/release/govern" setup --shims "$target/shim" "$@"

# From here on as in a new shell: the installed programs, which find their home by their own path, in a directory that
# wishes for nothing. A variable that names a Go would be told of instead of what was installed.
data=${GOVERN_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/govern}
unset GOROOT GOTOOLCHAIN GOVERN_GO_VERSION
cd /
"$data/bin/govern" daemon restart
"$data/bin/govern" install

printf '\n$ go version\n'
"$data/bin/go" version
printf '\n$ govern explain\n'
"$data/bin/govern" explain
