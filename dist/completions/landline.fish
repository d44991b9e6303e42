# Completion of landline(1) for fish. Put it into /usr/share/fish/vendor_completions.d or
# ~/.config/fish/completions.
#
# What it does not do: ask a server. Names of far files and users are not known here.

function __landline_uses
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __landline_needs_command
    test (count (commandline -opc)) -eq 1
end

set -l asks connect download upload run send users files stats ping bench

complete -c landline -f
complete -c landline -n __landline_needs_command -l help -d 'Say how it is used'
complete -c landline -n __landline_needs_command -l version -d 'Say the version'
complete -c landline -n __landline_needs_command -a serve -d 'Be a server'
complete -c landline -n __landline_needs_command -a connect -d 'Talk to a server'
complete -c landline -n __landline_needs_command -a download -d 'Fetch files'
complete -c landline -n __landline_needs_command -a upload -d 'Store files'
complete -c landline -n __landline_needs_command -a run -d 'Run a command on a server'
complete -c landline -n __landline_needs_command -a send -d 'Send messages to users'
complete -c landline -n __landline_needs_command -a users -d 'List the users'
complete -c landline -n __landline_needs_command -a files -d 'List a directory'
complete -c landline -n __landline_needs_command -a stats -d 'Show the counters'
complete -c landline -n __landline_needs_command -a ping -d 'Measure how long an answer takes'
complete -c landline -n __landline_needs_command -a bench -d 'Measure how fast lines come back'
complete -c landline -n __landline_needs_command -a help -d 'Say how a command is used'
complete -c landline -n '__landline_uses help' -a "serve $asks"

complete -c landline -n '__landline_uses serve' -s l -l listen -x -a 'line@ echo@ hello@ exec@ chat@ talk@' -d 'Listen there'
complete -c landline -n '__landline_uses serve' -s r -l root -x -a '(__fish_complete_directories)' -d 'The served directory'
complete -c landline -n '__landline_uses serve' -l hidden -d 'Serve names that start with a dot too'
complete -c landline -n '__landline_uses serve' -l run -r -F -a 'none shell' -d 'Which commands may be run'
complete -c landline -n '__landline_uses serve' -l upload -x -a 'none new replace' -d 'What may be stored'
complete -c landline -n '__landline_uses serve' -l name -x -d 'The name of the server'
complete -c landline -n '__landline_uses serve' -l allow -x -d 'Who may connect'
complete -c landline -n '__landline_uses serve' -l allow-run -x -d 'Who may run commands'
complete -c landline -n '__landline_uses serve' -l workers -x -d 'Threads'
complete -c landline -n '__landline_uses serve' -l max-connections -x -d 'Connections at once'
complete -c landline -n '__landline_uses serve' -l max-per-address -x -d 'Connections of one address'
complete -c landline -n '__landline_uses serve' -l max-line -x -d 'Longest line in bytes'
complete -c landline -n '__landline_uses serve' -l max-backlog -x -d 'Unread messages in bytes'
complete -c landline -n '__landline_uses serve' -l max-runs -x -d 'Commands at once'
complete -c landline -n '__landline_uses serve' -l run-timeout -x -d 'Longest time of a command'
complete -c landline -n '__landline_uses serve' -l idle-timeout -x -d 'Longest time without a request'
complete -c landline -n '__landline_uses serve' -l send-timeout -x -d 'Longest time in which a peer takes no output'
complete -c landline -n '__landline_uses serve' -l drain -x -d 'Time for replies in progress'
complete -c landline -n '__landline_uses serve' -l metrics -x -d 'Counters over HTTP'
complete -c landline -n '__landline_uses serve' -l log -x -a 'text json' -d 'How log lines are written'
complete -c landline -n '__landline_uses serve' -s v -l verbose -d 'More log lines'
complete -c landline -n '__landline_uses serve' -s q -l quiet -d 'Errors alone'
complete -c landline -n '__landline_uses serve' -l config -r -F -d 'A file of options'

complete -c landline -n "__landline_uses $asks" -a '(__fish_print_hostnames)'
complete -c landline -n "__landline_uses $asks" -s 4 -l ipv4 -d 'Use IPv4 alone'
complete -c landline -n "__landline_uses $asks" -s 6 -l ipv6 -d 'Use IPv6 alone'
complete -c landline -n "__landline_uses $asks" -s p -l port -x -d 'The TCP port'
complete -c landline -n "__landline_uses $asks" -s q -l quiet -d 'No progress, no notices'
complete -c landline -n "__landline_uses $asks" -l timeout -x -d 'Give up after this time'
complete -c landline -n "__landline_uses $asks" -l no-config -d 'Ignore the file of options'
complete -c landline -n "__landline_uses serve $asks" -l help -d 'Say how it is used'

complete -c landline -n '__landline_uses connect' -l user -x -d 'Take this name'
complete -c landline -n '__landline_uses download' -s o -l output -r -F -d 'The target'
complete -c landline -n '__landline_uses download' -s c -l continue -d 'Go on from what came before'
complete -c landline -n '__landline_uses download' -s f -l force -d 'Replace an existing target'
complete -c landline -n '__landline_uses upload' -l as -x -d 'The name at the server'
complete -c landline -n '__landline_uses upload' -F
complete -c landline -n '__landline_uses run' -s t -l tty -d 'Give it a terminal'
complete -c landline -n '__landline_uses send' -l as -x -d 'The name of the sender'
complete -c landline -n '__landline_uses send' -l to -x -d 'Who receives it'
complete -c landline -n '__landline_uses send' -l all -d 'Everyone receives it'
complete -c landline -n '__landline_uses users files stats ping bench' -l json -d 'As JSON'
complete -c landline -n '__landline_uses ping' -s c -l count -x -d 'How many'
complete -c landline -n '__landline_uses ping' -s i -l interval -x -d 'Time between two'
complete -c landline -n '__landline_uses bench' -l connections -x -d 'Connections'
complete -c landline -n '__landline_uses bench' -l depth -x -d 'Lines in flight'
complete -c landline -n '__landline_uses bench' -l size -x -d 'Length of a line'
complete -c landline -n '__landline_uses bench' -l rate -x -d 'Lines a second'
complete -c landline -n '__landline_uses bench' -l seconds -x -d 'How long'
