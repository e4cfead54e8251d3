# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
# Sourced: what the machine and the tree to compile in are made of, by $suite.

# In the machine. The kernel is unpacked apart (customize); what iotd itself needs is here because
# its package is installed without a network.
machine_packages=(systemd systemd-sysv dbus polkitd udev kmod login busybox-static
	mosquitto mosquitto-clients gpiod i2c-tools jq iproute2 nftables e2fsprogs procps psmisc strace
	libjansson4 libmosquitto1 libprotobuf-c1 libsqlite3-0 libsystemd0 libyaml-0-2)

# To build the package, the fakes and gpio-sim (and the kernel's headers and source, see build).
tools_packages=(build-essential debhelper lintian meson ninja-build pkgconf python3
	check libsubunit-dev libcbor-dev libconfig-dev libgpiod-dev libjansson-dev libmosquitto-dev
	libprotobuf-c-dev libsqlite3-dev libssl-dev libsystemd-dev libyaml-dev protobuf-c-compiler
	protobuf-compiler libfuse3-dev libi2c-dev xz-utils)

case $suite in
trixie)
	machine_packages+=(libcbor0.10 libconfig11 libgpiod3 libfuse3-4)
	kernel_source=linux-source-6.12
	backports=()
	;;
bookworm)
	machine_packages+=(libcbor0.8 libconfig9 libgpiod3 libfuse3-3)
	kernel_source=linux-source-6.1
	backports=('libgpiod*' gpiod 'libmosquitto*' 'mosquitto*') # too old in Debian 12 itself
	;;
*) die "no machine is known for \"$suite\": trixie or bookworm" ;;
esac

# Kernel modules that tests load, stored unpacked: unxz costs a second each under emulation.
test_modules=(i2c-dev i2c-stub lm75 bmp280-i2c cuse vhci-hcd i2c-tiny-usb configfs loop veth
	sch_netem sch_prio nf_tables nft_reject_inet nft_ct)
# What the initramfs needs to reach the root disk, in this order.
boot_modules=(virtio_pci virtio_blk ext4 9p 9pnet_virtio)
