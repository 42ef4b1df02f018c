#!/bin/sh
# Makes this machine a lab: Debian packages, then a virtual environment with pinned versions, .venv.
# ./lab, the VM and CI all run this one script. Running it again when nothing is missing changes nothing; after a
# download that broke it goes on.
#
#   vagrant/setup.sh dask             and Dask as well
#   PODPATH_PYTHON=/path/to/python3   the interpreter for the virtual environment (default: see find_python)
#   PODPATH_ALL=1                     what labs to come will want, too (the VM has it from the start)
#   PODPATH_VENV=/path                where the environment is (default: .venv beside ./lab; the VM has it on its own disk)
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
venv=${PODPATH_VENV:-$top/.venv}

say() { printf '%s\n' "podpath: $*" >&2; }
fail() { say "$*"; exit 1; }

# One line each: a command that shows the package is there, the package, and why a lab wants it.
# The first field is looked up on PATH and in the administrator's folders, which users do not have on theirs.
packages='
mnexec   mininet          runs each host of a lab in a network of its own
bwrap    bubblewrap       the jail in which submitted code is graded
ip       iproute2         makes links, addresses and routes
ping     iputils-ping     asks "are you there?"
curl     curl             fetches pages from pods
nft      nftables         the kernel'\''s packet filter and address translation
iptables iptables         kube-proxy'\''s rules
brctl    bridge-utils     the bridge of stock Mininet, which the benchmarks compare with
'
later='
bird     bird2            a BGP speaker to talk to
dig      bind9-dnsutils   asks name servers
'
[ -z "${PODPATH_ALL-}" ] || packages=$packages$later

PATH=$PATH:/usr/sbin:/sbin
export PATH

missing_packages() {
    printf '%s' "$packages" | while read -r command package why; do
        [ -n "$command" ] || continue
        command -v "$command" >/dev/null 2>&1 || printf '%s|%s\n' "$package" "$why"
    done
}

usable() { # a Python of the versions we test with, able to make a virtual environment
    "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for candidate in "${PODPATH_PYTHON:-}" /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        if usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_packages() {
    missing=$(missing_packages)
    names=$(printf '%s\n' "$missing" | cut -d'|' -f1)
    if ! find_python >/dev/null; then
        missing=$(printf '%s\n%s' "$missing" "python3-venv|makes the virtual environment")
        names="$names python3 python3-venv"
    fi
    names=$(printf '%s' "$names" | tr '\n' ' ')
    [ -n "$(printf '%s' "$names" | tr -d ' ')" ] || return 0

    command -v apt-get >/dev/null 2>&1 ||
        fail "these programs are missing and this is no Debian or Ubuntu, so please install them yourself: $names"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "some Debian packages are missing. Ask an administrator to run this once, then try again:
  apt-get install --no-install-recommends $names"
        as_root=sudo
    fi
    printf '%s\n' "$missing" | while IFS='|' read -r package why; do
        [ -z "$package" ] || say "installing $package: $why"
    done
    # A proxy that the environment names is named once more, since sudo forgets it.
    apt="$as_root env DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy=$http_proxy}
        ${https_proxy:+https_proxy=$https_proxy} apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"
    # A new machine has no package lists yet, or old ones, and one that was switched off at the wrong moment has packages
    # half installed: then that is put right, and it is tried once more.
    # shellcheck disable=SC2086  # names, one word each
    $apt install --no-install-recommends $names >"$log" 2>&1 ||
        { $as_root dpkg --configure -a && $apt update && $apt install --no-install-recommends $names; } >"$log" 2>&1 ||
        { tail -n 15 "$log" >&2; fail "apt-get could not install: $names(its last words are above)"; }
}

# What the virtual environment is made from; when this changes, it is made anew.
fingerprint() {
    printf '%s\n%s\n' "$top" "$1"
    "$1" -c 'import sys; print(sys.version)'
    cksum "$top/requirements.txt" "$top/pyproject.toml" "$top/vagrant/setup.sh" "$top/podpath/kernelspec.py"
}

# $venv is a link to one of the environments in the folder ${venv}s, which are named after their fingerprints. So a new
# one is made beside the old one, which goes on working for whatever runs in it, and if it cannot be made.
install_environment() {
    python=$(find_python) || fail "no Python from 3.11 to 3.13 with venv was found"
    new=${venv}s/$(fingerprint "$python" | cksum | tr ' ' -)
    old=$(readlink "$venv" || :)
    if [ "$old" = "$new" ] && [ -e "$new/.podpath-ready" ]; then
        return 0
    fi
    mkdir -p "${venv}s" 2>/dev/null || :
    [ -w "${venv}s" ] ||
        fail "$venv is not up to date, and this user may not change it. In the VM: run 'vagrant provision' outside of it"
    exec 9>"${venv}s/lock"
    flock 9 # somebody else may be making it
    [ -e "$new/.podpath-ready" ] || make_environment "$new"
    [ -L "$venv" ] || rm -rf "$venv"
    ln -s "$new" "$new.link"
    mv -fT "$new.link" "$venv"
    for other in "${venv}s"/*-*; do
        [ "$other" = "$new" ] || [ "$other" = "$old" ] || rm -rf "$other"
    done
}

make_environment() {
    say "installing JupyterLab, nbgrader, Mininet and what they need into $venv (about a minute, once)"
    "$python" -m venv --clear "$1"
    pip="$1/bin/python -m pip --disable-pip-version-check --no-input install --quiet"
    { $pip --no-compile --only-binary :all: --requirement "$top/requirements.txt" &&
        $pip --no-deps --no-build-isolation --editable "$top"; } >"$log" 2>&1 ||
        { tail -n 15 "$log" >&2; fail "pip could not install what requirements.txt names (its last words are above)"; }
    # More than half of the work, and pip would do it on one processor. Some files are not meant to be compiled.
    "$1/bin/python" -m compileall -q -j 0 "$1/lib" >/dev/null 2>&1 || :
    (cd "$top" && "$1/bin/python" -m podpath.kernelspec)
    : >"$1/.podpath-ready"
}

# Only for those who have a Dask cluster grade, and for the tests of that.
install_dask() {
    have=$venv/.podpath-dask
    cmp -s "$top/requirements-dask.txt" "$have" && return 0
    say "installing Dask into .venv (a few seconds, once)"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet \
        --requirement "$top/requirements-dask.txt" --constraint "$top/requirements.txt" >"$log" 2>&1 ||
        { tail -n 15 "$log" >&2; fail "pip could not install what requirements-dask.txt names (its last words are above)"; }
    cp "$top/requirements-dask.txt" "$have"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_packages
install_environment
[ "${1-}" != dask ] || install_dask
