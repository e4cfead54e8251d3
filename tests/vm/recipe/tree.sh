# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced: working in a tree of another Debian.

# in_tree TREE COMMAND...: in a mount namespace of its own, so that nothing stays mounted
in_tree() {
	local tree=$1
	shift
	unshare -m --propagation private sh -c '
		tree=$1
		shift
		mount -t proc proc "$tree/proc" && mount --rbind /sys "$tree/sys" &&
		mount --rbind /dev "$tree/dev" && mount -t tmpfs tmpfs "$tree/tmp" &&
		{ [ -z "$WORK" ] || mount --bind "$WORK" "$tree/mnt"; } && exec chroot "$tree" "$@"
		' sh "$tree" "$@"
}

# tree_kernel TREE: the release of its kernel
tree_kernel() { basename "$1"/usr/lib/modules/*-amd64; }
