# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion for iotctl(1) in bash.

# _iotctl_names KIND...: names from the running iotd; nothing where there is none
_iotctl_names() {
	local kind
	for kind; do
		"${COMP_WORDS[0]}" "${instance[@]}" list --names --kind "$kind" 2>/dev/null
	done
}

_iotctl_instances() {
	local file
	for file in /etc/iotd/*.conf; do
		file=${file##*/}
		echo "${file%.conf}"
	done
}

_iotctl_buses() {
	local file
	for file in /dev/i2c-*; do
		echo "${file##*/}"
	done
}

_iotctl_takes_value() { # OPTION
	[[ $1 == --@(instance|for|kind|plot|size|minutes|seconds|interval|count) ]]
}

# _iotctl_value OPTION: what it may be followed by; a number is everybody's own
_iotctl_value() {
	case $1 in
	--instance) _iotctl_instances ;;
	--kind) echo sensor input output ;;
	--for | --interval) echo "$durations" ;;
	--plot) _iotctl_names sensor input output ;;
	esac
}

# _iotctl_argument VERB COUNT: what it may be followed by when it has COUNT arguments
_iotctl_argument() {
	case $1-$2 in
	-0) echo status list read set pulse toggle interval watch reload stats scan check spool top ;;
	read-* | watch-*) _iotctl_names sensor input output ;;
	set-0 | pulse-0 | toggle-0) _iotctl_names output ;;
	interval-0) _iotctl_names sensor input ;;
	set-1) echo on off toggle ;;
	pulse-1 | interval-1) echo "$durations" ;;
	scan-0) _iotctl_buses ;;
	spool-0) echo export ;;
	esac
}

_iotctl_options() { # VERB
	echo --json --instance --help --version
	case $1 in
	list) echo --names --kind ;;
	set | toggle) echo --for ;;
	watch) echo --plot --size --minutes --seconds --count ;;
	top) echo --interval --count ;;
	esac
}

_iotctl() {
	local current=${COMP_WORDS[COMP_CWORD]} before='' verb='' count=0 said i word
	local durations='250ms 1s 5s 30s 1m 5m 1h'
	local -a instance=() words=()
	COMPREPLY=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			continue # --for=5s is three words here
		elif _iotctl_takes_value "$before"; then
			[[ $before != --instance ]] || instance=(--instance "$word")
			before=''
		elif [[ $word == -* ]]; then
			before=$word
		elif [[ -z $verb ]]; then
			verb=$word
		else
			((count += 1))
		fi
	done
	[[ $current != = ]] || current=''

	if _iotctl_takes_value "$before"; then
		said=$(_iotctl_value "$before")
	elif [[ $current == -* ]]; then
		said=$(_iotctl_options "$verb")
	elif [[ $verb == check ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	else
		said=$(_iotctl_argument "$verb" "$count")
	fi
	compopt -o nosort
	read -rd '' -a words <<<"$said"
	for word in "${words[@]}"; do # names come from elsewhere: nothing but a plain word gets on the line
		[[ $word != "$current"* || $word == *[!A-Za-z0-9_-]* ]] || COMPREPLY+=("$word")
	done
}
complete -F _iotctl iotctl
