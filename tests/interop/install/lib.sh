# What the installers share. Each is called with the cache folder: `npm.sh target/interop`. It leaves what it installs in a
# folder of its own name there, does nothing where that is done, and never touches the system, but for tshark.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$(basename "$0" .sh)
mkdir -p "${1:?the cache folder}"
cache=$(cd "$1" && pwd)
folder=$cache/$name
mkdir -p "$folder"

# Two runs at a time would install over each other. The lock is the process's, so that one that is killed leaves none.
exec 9>"$cache/$name.lock"
flock 9

# What is there is what these files ask for, or it is installed anew.
wanted=$(cat "$0" "$here/lib.sh" "$here"/../"${sources:-$name}"/{package.json,package-lock.json,requirements.txt,Cargo.toml,Cargo.lock,src/*} 2>/dev/null | cksum || true)
is_ready() { [ "$(cat "$folder/.ready" 2>/dev/null)" = "$wanted" ]; }
ready() { printf '%s\n' "$wanted" >"$folder/.ready"; }

# Unpacks Debian packages, and those that they need and the system lacks, below $folder/root. The lists are read anew into
# the cache folder: the system's may be old, and name files that the archive does not have any more.
unpack() {
    command -v apt-get >/dev/null || { echo "there is no apt-get here" >&2; exit 1; }
    local apt=(-qq -o "Dir::State::Lists=$cache/apt/lists" -o "Dir::Cache=$cache/apt/cache" -o APT::Sandbox::User=)
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial" "$folder/packages"
    (
        flock 8
        apt-get "${apt[@]}" update
        apt-get "${apt[@]}" install --simulate --no-install-recommends "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p' >"$folder/names"
    ) 8>"$cache/apt.lock"
    # Where the system has one of them already, it is not among those that would be installed.
    printf '%s\n' "$@" >>"$folder/names"
    sort -u -o "$folder/names" "$folder/names"
    rm -rf "${folder:?}/root" "$folder/packages"/*
    (cd "$folder/packages" && xargs apt-get "${apt[@]}" download <"$folder/names")
    for package in "$folder/packages"/*.deb; do dpkg-deb --extract "$package" "$folder/root"; done
    for package in "$@"; do dpkg-deb --show --showformat '${Version}\n' "$folder/packages/${package}"_*.deb; done >"$folder/version"
    rm -rf "$folder/packages"
}
