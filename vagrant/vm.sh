#!/bin/sh
# Makes a fresh Debian VM the labs' own: the set-up that ./lab runs too, and around it what only a VM needs, which is
# kernel modules, the programs of labs to come, and JupyterLab as a service. The Vagrantfile runs it as root at every
# start of the VM; where nothing has changed, it changes nothing.
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
PODPATH_VENV=/opt/podpath/venv # not in the clone: that is another computer's disk, perhaps without links and permissions
export PODPATH_VENV
unit=/etc/systemd/system/podpath.service

say() { printf '%s\n' "podpath: $*"; }

use_mirror() {
    [ -n "${PODPATH_MIRROR-}" ] || return 0
    find /etc/apt \( -name '*.sources' -o -name '*.list' \) -exec \
        sed -i -E "s#https?://deb\.debian\.org/debian([ /]|\$)#${PODPATH_MIRROR%/}\1#" {} +
}

load_modules() { # those that this kernel has, now and at every start
    for module in br_netfilter geneve ip_vs ip_vs_rr nf_tables sch_netem vxlan wireguard; do
        if modprobe "$module" 2>/dev/null; then
            printf '%s\n' "$module"
        else
            say "this kernel has no module $module; ./lab doctor says which labs would want it" >&2
        fi
    done >/etc/modules-load.d/podpath.conf
}

install() {
    PODPATH_ALL=1 sh "$top/vagrant/setup.sh"
    grep -qx "PODPATH_VENV=$PODPATH_VENV" /etc/environment 2>/dev/null ||
        printf '%s\n' "PODPATH_VENV=$PODPATH_VENV" >>/etc/environment # for ./lab in `vagrant ssh`
    if systemctl is-enabled --quiet bird.service 2>/dev/null; then
        systemctl disable --quiet --now bird.service # a lab starts its own
    fi
}

# Whoever owns the clone as the VM sees it, so that work/ can be written: mostly the user vagrant.
find_user() {
    owner=$(stat -c %u "$top")
    [ "$owner" -ne 0 ] || owner=$(id -u vagrant)
    getent passwd "$owner" >/dev/null ||
        useradd --uid "$owner" --home-dir /var/lib/podpath --shell /bin/bash --comment 'podpath' podpath
    user=$(id -nu "$owner")
    mkdir -p "$top/work"
    runuser -u "$user" -- test -w "$top/work" || chown -R "$user:" "$top/work"
}

make_token() {
    [ ! -s /etc/podpath/token ] || return 0
    say "making the token that opens JupyterLab"
    mkdir -p /etc/podpath
    (umask 077 && printf 'JUPYTER_TOKEN=%s\n' "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >/etc/podpath/token.new)
    mv /etc/podpath/token.new /etc/podpath/token
}

# The user vagrant may become root by sudo; what JupyterLab runs may not, and cannot write to that user's home either
# (NoNewPrivileges, ProtectHome). Not a user of its own: on VirtualBox and its like only vagrant may write to the clone.
describe_service() {
    cat <<END
[Unit]
Description=JupyterLab with the labs of podpath, in $(readlink "$PODPATH_VENV")
# The clone may be mounted a while after the start.
StartLimitIntervalSec=0

[Service]
User=$user
ExecStart=$top/lab start --no-browser --ip 0.0.0.0
EnvironmentFile=/etc/podpath/token
StateDirectory=podpath
Environment=HOME=/var/lib/podpath PODPATH_VENV=$PODPATH_VENV
NoNewPrivileges=yes
ProtectHome=read-only
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
END
}

start_service() {
    describe_service >"$unit.new"
    if cmp -s "$unit.new" "$unit"; then
        rm "$unit.new"
        systemctl start podpath.service
    else
        mv "$unit.new" "$unit"
        systemctl daemon-reload
        systemctl enable --quiet podpath.service
        systemctl restart podpath.service
    fi
    wait_for_jupyterlab
}

restarts() { systemctl show --value --property NRestarts podpath.service; }

wait_for_jupyterlab() { # for as long as it takes, as long as it lives
    enough=$(($(restarts) + 3))
    until curl --silent --fail --output /dev/null --noproxy '*' --retry 15 --retry-delay 1 --retry-connrefused \
        http://127.0.0.1:8888/api; do
        [ "$(restarts)" -lt "$enough" ] || {
            journalctl --unit podpath.service --lines 20 --no-pager >&2
            say "JupyterLab does not start; its last words are above" >&2
            exit 1
        }
    done
}

use_mirror
load_modules
install
find_user
make_token
start_service
