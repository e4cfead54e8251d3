# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# Sourced: the machine as QEMU builds it. A frozen machine wakes only in the very same one, so
# booting, freezing and waking share this.

# KVM only where the processor's own virtualization is behind it: other modules that make a
# /dev/kvm (some nested hosts have one) do not run a distribution's kernel.
machine_accelerator() {
	if [[ -w /dev/kvm && (-d /sys/module/kvm_intel || -d /sys/module/kvm_amd) ]]; then
		echo kvm
	else
		echo tcg
	fi
}

# machine_arguments DIR JOB: sets the array arguments; DIR is where the machine was built, JOB the
# folder that it gets as /job. Left to the caller: drive "root", chardevs "console" and "wake".
machine_arguments() {
	local dir=$1 job=$2
	local -a cpu
	local -A cpus=([kvm]=host [tcg]="qemu64,-svm") # a plain one: SSE is quicker to emulate than AVX

	cpu=(-cpu "${cpus[$accelerator]}" -accel "$accelerator")
	[[ $accelerator == kvm ]] || cpu=(-cpu "${cpus[tcg]}" -accel "tcg,tb-size=256,thread=multi")
	# One processor: of two emulated ones each waits for the other (locks, shootdowns), and all takes twice as long.
	# lsm=yama: with the BPF LSM PID 1 loads a BPF program, which takes 3 s under emulation.
	arguments=(-machine pc "${cpu[@]}" -m 384 -smp 1
		-nodefaults -no-user-config -no-reboot -display none
		-serial chardev:console -serial chardev:wake
		-kernel "$dir/vmlinux" -initrd "$dir/initrd.img"
		-append "console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off nokaslr
			no_timer_check cryptomgr.notests audit=0 lsm=yama systemd.show_status=0"
		-device virtio-blk-pci,drive=root
		-fsdev "local,id=job,path=$job,security_model=none"
		-device virtio-9p-pci,fsdev=job,mount_tag=job
		-device virtio-rng-pci)
}

# machine_freeze FILE: QEMU, whose monitor listens on descriptor 5, saves the machine there, and ends
machine_freeze() {
	printf '%s\n' 'migrate_set_parameter max-bandwidth 16G' "migrate \"exec:zstd -q -1 >'$1'\"" \
		'info migrate' quit >&5
}
# machine_is_frozen FILE SAID: has it, by what the monitor said?
machine_is_frozen() { zstd -qt "$1" && grep -q 'status: completed' "$2"; }
