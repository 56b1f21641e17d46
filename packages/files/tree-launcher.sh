#!/bin/sh
# Runs this very tree, however it was reached: a link that is switched meanwhile does not matter.
tree=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
exec "$tree/bin/python3" -P -m @MODULE@ "$@"
