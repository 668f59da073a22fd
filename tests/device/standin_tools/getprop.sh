#!/bin/sh
[ -n "$1" ] && { cat "$ROOT/props/$1" 2>/dev/null || echo; exit 0; }
for name in "$ROOT"/props/*; do echo "[${name##*/}]: [$(cat "$name")]"; done
