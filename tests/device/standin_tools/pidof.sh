#!/bin/sh
cat "$ROOT/pids/$1" 2>/dev/null
