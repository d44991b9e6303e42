# Completion of landline(1) for bash. Put it where bash-completion looks for it, as
# /usr/share/bash-completion/completions/landline, or source it from ~/.bashrc.
#
# What it does not do: ask a server. Names of far files and users are not known here.

_landline_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_landline_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# How many operands stand between the subcommand and the word that is completed.
_landline_operands() {
    local index word operands=0
    for ((index = 2; index < COMP_CWORD; index++)); do
        word="${COMP_WORDS[index]}"
        case "$word" in
        -o | -l | -r | -p | -c | -i | --*) [[ " $1 " != *" $word "* ]] || ((index++)) ;;
        -*) ;;
        *) ((operands++)) ;;
        esac
    done
    echo "$operands"
}

_landline() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
    local command="${COMP_WORDS[1]}"
    local commands="serve connect download upload run send users files stats ping bench help"
    local common="-4 --ipv4 -6 --ipv6 -p --port -q --quiet --timeout --no-config --help"
    local own="" valued="-p --port --timeout"
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        _landline_words "$commands --help --version" "$current"
        return
    fi
    case "$command" in
    serve)
        common="--help"
        own="-l --listen -r --root --hidden --run --upload --name --allow --allow-run --workers
            --max-connections --max-per-address --max-line --max-backlog --max-runs --run-timeout
            --idle-timeout --send-timeout --drain --metrics --log -v --verbose -q --quiet --config"
        ;;
    connect) own="--user" valued+=" --user" ;;
    download) own="-o --output -c --continue -f --force" valued+=" -o --output" ;;
    upload) own="--as" valued+=" --as" ;;
    run) own="-t --tty" ;;
    send) own="--as --to --all" valued+=" --as --to" ;;
    users | files | stats) own="--json" ;;
    ping) own="-c --count -i --interval --json" valued+=" -c --count -i --interval" ;;
    bench)
        own="--connections --depth --size --rate --seconds --json"
        valued+=" --connections --depth --size --rate --seconds"
        ;;
    help)
        _landline_words "$commands" "$current"
        return
        ;;
    *) return ;;
    esac

    case "$command $previous" in
    "serve -r" | "serve --root") _landline_files -d "$current" ;;
    "serve --config" | "download -o" | "download --output") _landline_files -f "$current" ;;
    "serve --run")
        _landline_files -f "$current"
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "none shell" -- "$current")
        ;;
    "serve --upload") _landline_words "none new replace" "$current" ;;
    "serve --log") _landline_words "text json" "$current" ;;
    "serve -l" | "serve --listen")
        _landline_words "line@ echo@ hello@ exec@ chat@ talk@ hello+bare@ exec+bare@ chat+bare@ talk+bare@" "$current"
        compopt -o nospace 2>/dev/null
        ;;
    *)
        if [[ "$current" == -* ]]; then
            _landline_words "$own $common" "$current"
        elif [[ "$command" != serve && " $valued " != *" $previous "* ]]; then
            if (($(_landline_operands "$valued") == 0)); then
                mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
            elif [[ "$command" == upload ]]; then
                _landline_files -f "$current"
            fi
        fi
        ;;
    esac
}

complete -F _landline landline
