#!/bin/sh
# Makes a small libvirt box of Debian 12, for vagrant/test: box.sh FOLDER
#
# FOLDER then has debian.box, and beside it the kernel (vmlinuz, initrd.img), with which libvirt starts it directly: so
# the disk needs neither partitions nor a boot loader. Needs root; fetches about 150 MB from Debian's mirror.
set -eu
out=$1
root=$out/root
mirror=${PODPATH_MIRROR:-http://deb.debian.org/debian}
packages=ca-certificates,curl,dbus,ifupdown,iproute2,isc-dhcp-client,linux-image-amd64,netbase,openssh-server,sudo
packages=$packages,systemd-sysv,udev

debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror" >"$out/debootstrap.log" 2>&1 || {
    tail -n 15 "$out/debootstrap.log" >&2
    exit 1
}
cat >"$root/etc/apt/sources.list" <<END
deb $mirror bookworm main
deb $mirror bookworm-updates main
END
# What this machine trusts, the box trusts.
cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
chroot "$root" update-ca-certificates >/dev/null 2>&1

printf 'auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n' >"$root/etc/network/interfaces"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
printf 'debian12\n' >"$root/etc/hostname"
printf '127.0.0.1 localhost debian12\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"

# The user that vagrant expects, with the key that all of vagrant's boxes have and that it replaces at the first start.
chroot "$root" useradd --create-home --shell /bin/bash vagrant
printf 'vagrant ALL=(ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/vagrant"
mkdir -m 700 "$root/home/vagrant/.ssh"
cp "$(dpkg -L vagrant | grep -m 1 '/keys/vagrant.pub$')" "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant: /home/vagrant

cp -L "$root/vmlinuz" "$root/initrd.img" "$out/"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
chmod 644 "$out/vmlinuz" "$out/initrd.img"
mke2fs -q -t ext4 -d "$root" "$out/disk" 8G >/dev/null
qemu-img convert -O qcow2 "$out/disk" "$out/box.img"
printf '{"provider": "libvirt", "format": "qcow2", "virtual_size": 8}\n' >"$out/metadata.json"
tar -C "$out" -cf "$out/debian.box" metadata.json box.img
rm -rf "$root" "$out/disk" "$out/box.img" "$out/metadata.json"
