#!/bin/sh
# Completion of `kubectl gwdoctor`: kubectl runs this with the words typed so far.
# Put it on PATH as kubectl_complete-gwdoctor, executable. (A Python package brings it already.)
exec @PROGRAM@ __complete "$@"
