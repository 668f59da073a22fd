#!/bin/sh
package=$1
shift
if [ -e "$ROOT/run_as_refused" ]; then
  echo "run-as: package not debuggable: $package" >&2
  exit 1
fi
if [ ! -e "$ROOT/data/app/base.apk" ]; then
  echo "run-as: unknown package: $package" >&2
  exit 1
fi
cd "$ROOT/data/data/$package" && exec "$@"
