# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion for iotctl(1) in fish.

# The command line before the cursor as: --instance NAME, or nothing; --; the verb and its arguments.
function __iotctl_line
    set -l line (commandline -opc)[2..]
    set -l instance
    set -l words
    while set -q line[1]
        switch $line[1]
            case --instance
                set instance --instance $line[2]
                set -e line[1]
            case '--instance=*'
                set instance --instance (string split -m 1 = -- $line[1])[2]
            case --for --kind --plot --size --minutes --seconds --interval --count
                set -e line[1]
            case '-*'
            case '*'
                set -a words $line[1]
        end
        set -e line[1]
    end
    printf '%s\n' $instance -- $words
end

# __iotctl_at VERB [COUNT]: is this the verb, and has it COUNT arguments? (VERB "": there is none)
function __iotctl_at
    set -l line (__iotctl_line)
    set -l words $line[(math (contains -i -- -- $line) + 1)..]
    test "$words[1]" = "$argv[1]"; or return
    test (count $argv) = 1; or test (count $words) = (math $argv[2] + 1)
end

# __iotctl_names KIND...: names from the running iotd; nothing where there is none
function __iotctl_names
    set -l line (__iotctl_line)
    set -l program (commandline -opc)[1]
    for kind in $argv
        $program (string match -v -- -- $line[..(contains -i -- -- $line)]) list --names --kind $kind 2>/dev/null
    end
end

function __iotctl_instances
    set -l files /etc/iotd/*.conf # a pattern that matches nothing is an error elsewhere
    path basename $files | path change-extension ''
end

function __iotctl_buses
    set -l files /dev/i2c-*
    path basename $files
end

set -l durations 250ms 1s 5s 30s 1m 5m 1h
set -l all '(__iotctl_names sensor input output)'
set -l paced '(__iotctl_names sensor input)'
set -l outputs '(__iotctl_names output)'

complete -c iotctl -f
complete -c iotctl -l json -d 'print JSON'
complete -c iotctl -l instance -x -a '(__iotctl_instances)' -d 'talk to iotd@NAME'
complete -c iotctl -s V -l version -d 'print the version and exit'
complete -c iotctl -s h -l help -d 'print help and exit'

complete -c iotctl -n '__iotctl_at ""' -a status -d 'how it is'
complete -c iotctl -n '__iotctl_at ""' -a list -d 'sensors, inputs and outputs'
complete -c iotctl -n '__iotctl_at ""' -a read -d 'read now'
complete -c iotctl -n '__iotctl_at ""' -a set -d 'set an output'
complete -c iotctl -n '__iotctl_at ""' -a pulse -d 'an output on, and off again'
complete -c iotctl -n '__iotctl_at ""' -a toggle -d 'an output to its other state'
complete -c iotctl -n '__iotctl_at ""' -a interval -d 'how often it is read'
complete -c iotctl -n '__iotctl_at ""' -a watch -d 'values as they come'
complete -c iotctl -n '__iotctl_at ""' -a reload -d 'read the configuration again'
complete -c iotctl -n '__iotctl_at ""' -a stats -d 'counters since the start'
complete -c iotctl -n '__iotctl_at ""' -a scan -d 'find I2C chips'
complete -c iotctl -n '__iotctl_at ""' -a check -d 'is the configuration good?'
complete -c iotctl -n '__iotctl_at ""' -a spool -d 'readings that wait for the broker'
complete -c iotctl -n '__iotctl_at ""' -a top -d 'lateness and CPU by sensor'

complete -c iotctl -n '__iotctl_at list' -l names -d 'names only'
complete -c iotctl -n '__iotctl_at list' -l kind -x -a 'sensor input output' -d 'of this kind only'
complete -c iotctl -n '__iotctl_at read; or __iotctl_at watch' -a $all
complete -c iotctl -n '__iotctl_at set 0; or __iotctl_at pulse 0; or __iotctl_at toggle 0' -a $outputs
complete -c iotctl -n '__iotctl_at set 1' -a 'on off toggle'
complete -c iotctl -n '__iotctl_at set; or __iotctl_at toggle' -l for -x -a "$durations" -d 'and back again after'
complete -c iotctl -n '__iotctl_at interval 0' -a $paced
complete -c iotctl -n '__iotctl_at pulse 1; or __iotctl_at interval 1' -k -a "$durations"
complete -c iotctl -n '__iotctl_at watch' -l plot -x -a $all -d 'as a plot'
complete -c iotctl -n '__iotctl_at watch' -l size -x -d 'of a plot that is printed'
complete -c iotctl -n '__iotctl_at watch' -l minutes -x -d 'that it shows'
complete -c iotctl -n '__iotctl_at watch' -l seconds -x -d 'and no longer'
complete -c iotctl -n '__iotctl_at watch' -l count -x -d 'so many readings'
complete -c iotctl -n '__iotctl_at top' -l interval -x -a "$durations" -d 'between two tables'
complete -c iotctl -n '__iotctl_at top' -l count -x -d 'so many tables'
complete -c iotctl -n '__iotctl_at scan 0' -a '(__iotctl_buses)'
complete -c iotctl -n '__iotctl_at check' -F
complete -c iotctl -n '__iotctl_at spool 0' -a export
