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

    # fish replaces the whole word, so `--option=` stands before each value; of files, `sarif=` too.
    set -l option (string match -r -- '^-[^=]*=' $word)
    for line in $lines
        printf '%s%s\n' "$option" $line
    end
    test (math "bitand($directive, 4)") -eq 0; or return
    set -l head (string match -r -- '^.*=' $word)
    set -l path (string replace -r -- '^.*=' '' $word)
    set -l kind path
    test (math "bitand($directive, 16)") -ne 0; and set kind directories
    for line in (__fish_complete_$kind $path)
        printf '%s%s\n' "$head" $line
    end
end

complete -c gwdoctor -f -a '(__gwdoctor_candidates)'
