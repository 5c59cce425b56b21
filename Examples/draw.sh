#!/usr/bin/env bash
# Draws the pictures of the README from the example data: Examples/draw.sh [CHORUS], the path of the built program.
set -euo pipefail
cd "$(dirname "$0")/.."
chorus="${1:-.build/release/chorus}"

"$chorus" predict Examples/mcycle.csv --input times --target accel --at 0..60/1 --units times=ms,accel=g \
  --plot docs/images/mcycle.svg >/dev/null
"$chorus" predict Examples/co2.csv --input date --target co2 --at 2002-01-05..2002-12-28/1w --units co2=ppmv \
  --plot docs/images/co2.svg >/dev/null
"$chorus" predict Examples/sunspots.csv --input YEAR --target SUNACTIVITY --at 2009..2030/1 \
  --plot docs/images/sunspots.svg >/dev/null
"$chorus" predict Examples/penguins.csv --target species,body_mass_g --at-file Examples/penguins-new.csv --samples 500 \
  --plot docs/images/penguins.svg >/dev/null
"$chorus" predict Examples/elecdemand.csv --input time --target Demand --units Demand=GW \
  --at 2014-06-09T00:00..2014-06-09T23:30/30m --plot docs/images/elecdemand.svg >/dev/null
