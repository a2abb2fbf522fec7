#compdef gwdoctor
# Completion of gwdoctor for zsh.
#   now:    source <(@PROGRAM@ completion zsh)      (after compinit)
#   always: @PROGRAM@ completion zsh > "${fpath[1]}/_gwdoctor"

_gwdoctor() {
    local -a lines candidates space
    local line value directive
    lines=("${(@f)$(@PROGRAM@ __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    directive=${lines[-1]#:}
    lines[-1]=()

    [[ $PREFIX == -*=* ]] && compset -P '*='
    for line in $lines; do
        value=${${line%%$'\t'*}//:/\\:}
        [[ $line == *$'\t'* ]] && value+=:${line#*$'\t'}
        candidates+=("$value")
    done
    (( directive & 2 )) && space=(-S '')
    if (( directive & 16 )); then
        _files -/
    elif (( ${#candidates} )); then
        _describe -V -t values value candidates "${space[@]}"
    elif (( ! (directive & 4) )); then
        compset -P '*='  # `-o sarif=FILE`
        _files
    fi
}

# Read from fpath it is called at once; sourced it is registered.
if [[ $funcstack[1] == _gwdoctor ]]; then
    _gwdoctor "$@"
else
    compdef _gwdoctor gwdoctor
fi
