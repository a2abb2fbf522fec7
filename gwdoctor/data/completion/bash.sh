# Completion of gwdoctor for bash.
#   now:    source <(@PROGRAM@ completion bash)
#   always: @PROGRAM@ completion bash > ~/.local/share/bash-completion/completions/gwdoctor

_gwdoctor() {
    # bash splits words at `=` and `:`, we do not: the line is read anew as far as the cursor.
    # (`read` without -r takes a backslash before a blank as the shell does.)
    local words line
    local -a lines
    read -a words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:COMP_POINT-1:1} == [[:blank:]] ]] && words+=("")
    local typed=${words[${#words[@]}-1]} breaks=${COMP_WORDBREAKS//[^=:]/}
    local current=${typed##*[${breaks:-$'\n'}]}  # what bash will replace

    while IFS= read -r line; do lines+=("${line%%$'\t'*}"); done \
        < <(@PROGRAM@ __complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    ((${#lines[@]})) || return
    local last=$((${#lines[@]} - 1))
    local directive=${lines[last]#:}
    unset "lines[last]"

    # What stands before that stays.
    local before=${typed%"$current"} option=""
    [[ $typed == -*=* ]] && option=${typed%%=*}=
    for line in "${lines[@]}"; do
        line=$option$line
        # A name of somebody's cluster is text, whatever the shell could make of it.
        [[ $line == "$before"* ]] && printf -v line %q "${line#"$before"}" && COMPREPLY+=("$line")
    done
    ((directive & 2)) && compopt -o nospace
    ((directive & 4)) && compopt +o default
    ((directive & 16)) && compopt +o default -o dirnames
    return 0
} 2>/dev/null

complete -o default -F _gwdoctor gwdoctor
