# Completion of gwdoctor for fish.
#   now:    @PROGRAM@ completion fish | source
#   always: @PROGRAM@ completion fish > ~/.config/fish/completions/gwdoctor.fish

function __gwdoctor_candidates
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l lines (@PROGRAM@ __complete $before[2..-1] "$word" 2>/dev/null)
    test (count $lines) -gt 0; or return
    set -l directive (string replace ':' '' -- $lines[-1])
    set -e lines[-1]

    # fish replaces the whole word, so `--option=` stands before each value.
    set -l option (string match -r -- '^-[^=]*=' $word)
    for line in $lines
        printf '%s%s\n' "$option" $line
    end
    if test (math "bitand($directive, 16)") -ne 0
        __fish_complete_directories (string replace -- "$option" '' $word)
    else if test (math "bitand($directive, 4)") -eq 0
        for path in (__fish_complete_path (string replace -- "$option" '' $word))
            printf '%s%s\n' "$option" $path
        end
    end
end

complete -c gwdoctor -f -a '(__gwdoctor_candidates)'
