#!/bin/sh
# toybox's df -k
for place; do :; done
free=$(cat "$ROOT/free_kilobytes")
echo "Filesystem      1K-blocks     Used Available Use% Mounted on"
echo "/dev/fuse       113152000 49000000 $free  44% $place"
