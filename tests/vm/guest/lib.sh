# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# Sourced by the tests, in the machine, from /job: asserting, waiting, and the hardware and the broker
# that a test plays. The first assertion that does not hold ends the test, and shows what iotd said.
set -Eeuo pipefail

topic=iotd/vm   # of every configuration that configure() writes
heard=/run/heard # every message on the broker: TOPIC PAYLOAD
config=/etc/iotd.conf
mqtt='' # more for the group mqtt of these configurations

# --- Asserting ------------------------------------------------------------------------------------

checks=0

part() { printf '\n== %s (%s s after the boot)\n' "$*" "$(cut -d' ' -f1 /proc/uptime)"; }
note() { printf '    %s\n' "$*"; }

show_evidence() {
	local unit
	journalctl --sync || true
	echo "---- the journal of iotd"
	journalctl -q --no-pager -o short-precise -u 'iotd*' -n 60 || true
	for unit in $(systemctl list-units -q --plain --all --no-legend 'iotd*.service' | cut -d' ' -f1); do
		systemctl --no-pager -n 0 status "$unit" || true
	done
	[[ ! -e $heard ]] || { echo "---- the last messages" && tail -n 20 "$heard"; }
}

failed() {
	trap - ERR
	printf 'NOT OK - %s\n' "$*"
	show_evidence
	printf '\n%d passed, 1 failed\n' "$checks"
	exit 1
}
trap 'failed "line $LINENO: $BASH_COMMAND"' ERR

passed() {
	checks=$((checks + 1))
	printf 'ok - %s\n' "$*"
}

# check WHAT COMMAND...: holds if the command succeeds
check() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		passed "$what"
	else
		note "$said"
		failed "$what ($*)"
	fi
}

# equal WHAT EXPECTED ACTUAL
equal() {
	[[ $2 == "$3" ]] || failed "$1: expected \"$2\", got \"$3\""
	passed "$1"
}

# in_time SECONDS COMMAND...: until it succeeds
in_time() {
	local until=$((SECONDS + $1))
	shift
	until "$@" &>/dev/null; do
		((SECONDS < until)) || return 1
		sleep 0.2
	done
}

# eventually WHAT COMMAND...: holds if the command succeeds within a minute
eventually() {
	local what=$1
	shift
	in_time 60 "$@" || failed "$what: not in a minute ($*)"
	passed "$what"
}

# done_testing: the last line of a test
done_testing() {
	trap - ERR
	printf '\n%d passed, 0 failed\n' "$checks"
}

# --- The broker -----------------------------------------------------------------------------------

broker() {
	systemctl start mosquitto
	# shellcheck disable=SC2024 # root writes it anyway
	mosquitto_sub -h localhost -V 5 -q 1 -v -t '#' >"$heard" &
	in_time 30 is_listening
}

is_listening() { mosquitto_pub -h localhost -t listening -m yes && grep -q '^listening' "$heard"; }

publish() { mosquitto_pub -h localhost -V 5 -q 1 -t "$topic/$1" -m "$2"; }

# last SUBTOPIC: its latest payload
last() { awk -v begin="$topic/$1 " 'index($0, begin) == 1 { last = $0 } END { print substr(last, length(begin) + 1) }' "$heard"; }
# history SUBTOPIC N: its latest N payloads, the oldest first
history() { sed -n "s|^$topic/$1 ||p" "$heard" | tail -n "$2"; }

# heard_as SUBTOPIC FILTER: is jq's FILTER true for the latest payload?
heard_as() { last "$1" | jq -e "$2" >/dev/null 2>&1; }
# heard_word SUBTOPIC WORD: is it that word?
heard_word() { [[ $(last "$1") == "$2" ]]; }

# --- iotd -----------------------------------------------------------------------------------------

package() { echo /job/iotd_*.deb; } # /job/iotd-next.deb is the same as a later version

# install_iotd [FILE]: that package; a machine has it already, but for those that are to be bare
install_iotd() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install "${1:-$(package)}" </dev/null
}

# configure <<<TEXT: the configuration is TEXT and what every one here has; takes effect by a restart
configure() {
	{
		echo 'device = "vm";'
		echo "mqtt = { broker = \"mqtt://localhost:1883\"; reconnect_max = \"1s\"; ${mqtt:-} };"
		cat
	} >"$config"
	iotd --check -c "$config" || failed "the configuration of the test"
	systemctl restart iotd
}

# journal_has PATTERN [OPTION...]: of journalctl
journal_has() {
	local pattern=$1
	shift
	journalctl --sync
	journalctl -q --no-pager -u iotd "$@" | grep -qE -- "$pattern"
}

property() { systemctl show -P "$1" iotd; }

# --- GPIO: the kernel's simulator -----------------------------------------------------------------

# gpio_chip NAME LINES: a chip with that label; its lines are called NAME-0, NAME-1 ...
gpio_chip() {
	local root=/sys/kernel/config/gpio-sim line
	modprobe gpio-sim
	in_time 10 test -d "$root" || mount -t configfs configfs /sys/kernel/config
	mkdir -p "$root/$1/bank"
	echo "$2" >"$root/$1/bank/num_lines"
	echo "$1" >"$root/$1/bank/label"
	for ((line = 0; line < $2; line++)); do
		mkdir "$root/$1/bank/line$line"
		echo "$1-$line" >"$root/$1/bank/line$line/name"
	done
	echo 1 >"$root/$1/live"
	in_time 10 test -c "$(gpio_node "$1")"
	udevadm settle
}

gpio_unplug() { echo 0 >"/sys/kernel/config/gpio-sim/$1/live"; }
gpio_plug() { echo 1 >"/sys/kernel/config/gpio-sim/$1/live"; }

# gpio_name CHIP, gpio_node CHIP: gpiochipN, /dev/gpiochipN
gpio_name() { cat "/sys/kernel/config/gpio-sim/$1/bank/chip_name"; }
gpio_node() { echo "/dev/$(gpio_name "$1")"; }

gpio_line() { # CHIP LINE: what stands for the far end of the line
	echo "/sys/devices/platform/$(cat "/sys/kernel/config/gpio-sim/$1/dev_name")/$(gpio_name "$1")/sim_gpio$2"
}
# pull CHIP LINE up|down: what an input sees
pull() { echo "pull-$3" >"$(gpio_line "$1" "$2")/pull"; }
# level CHIP LINE: what an output drives
level() { cat "$(gpio_line "$1" "$2")/value"; }
level_is() { [[ $(level "$1" "$2") == "$3" ]]; }

# --- I2C: buses that a program of the tests plays (fakes/chips.h) ---------------------------------

chips=/run/chips # a file for each chip on the bus; and the faults

# usb_bus: plugs in the fake adapter; sets bus to its number
usb_bus() {
	modprobe -a i2c-dev vhci-hcd i2c-tiny-usb
	mkdir -p "$chips"
	/job/usb-i2c "$chips" &
	adapter=$! # for tests that unplug it
	in_time 30 find_bus tiny-usb
	find_bus tiny-usb
	udevadm settle
}

# stub_bus ADDRESSES: an adapter that speaks SMBus only, with chips (all registers 0) there; sets bus
stub_bus() {
	modprobe i2c-dev
	modprobe i2c-stub chip_addr="$1"
	in_time 30 find_bus stub
	find_bus stub
	udevadm settle
}

find_bus() { # NAME: sets bus
	bus=$(i2cdetect -l | awk -v name="$1" '$0 ~ name { sub("i2c-", "", $1); print $1; exit }')
	[[ -n $bus && -c /dev/i2c-$bus ]]
}

# chip ADDRESS: one more on the bus, with all registers 0
chip() { head -c 256 /dev/zero >"$chips/$1"; }
# registers ADDRESS FIRST BYTE...: in hexadecimal, as are ADDRESS and FIRST
registers() {
	local at=$((16#$2)) file=$chips/$1 bytes
	shift 2
	printf -v bytes '\\x%s' "$@"
	printf '%b' "$bytes" | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
}
# register ADDRESS REGISTER: what is in it
register() { od -An -tx1 -j $((16#$2)) -N 1 "$chips/$1" | tr -d ' '; }
fault() { echo "${*:-}" >"$chips/fault"; }

# cuse_bus: /dev/i2c-77, whose chips and faults are in /run/dead: fault_on dead, chips=/run/dead chip
cuse_bus() {
	modprobe cuse
	mkdir -p /run/dead
	/job/cuse-i2c -f --name=i2c-77 --dir=/run/dead &
	cuse=$!
	in_time 30 test -c /dev/i2c-77
	chgrp i2c /dev/i2c-77
	chmod 660 /dev/i2c-77
	mkdir -p /run/systemd/system/iotd.service.d # its major is its own, not char-i2c
	printf '%s\n' '[Service]' 'DeviceAllow=/dev/i2c-77 rw' >/run/systemd/system/iotd.service.d/cuse.conf
	systemctl daemon-reload
}
# fault_on chips|dead [WORD...]: on that bus
fault_on() { echo "${*:2}" >"/run/$1/fault"; }

# The worked example of the BMP280's data sheet (BST-BMP280-DS001, 3.12): calibration and raw values
# that must make 25.08 degrees and 100653.27 Pa.
example_calibration=(70 6b 43 67 18 fc 7d 8e 43 d6 d0 0b 27 0b 8c 00 f9 ff 8c 3c f8 c6 70 17)
example_data=(65 5a c0 7e ed 00)

# bosch ADDRESS: a BMP280 with the example's values
bosch() {
	chip "$1"
	registers "$1" d0 58
	registers "$1" 88 "${example_calibration[@]}"
	registers "$1" f7 "${example_data[@]}"
}
