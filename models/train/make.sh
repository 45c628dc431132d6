#!/bin/sh
# From nothing to models/pico. Each stage goes on where it was stopped. Needs the packages of README.md; hours on two cores.
set -eu
cd "$(dirname "$0")"
: "${PARLEY_WORK:=$PWD/work}"
export PARLEY_WORK
py() { python3 -W ignore -m "parley_train.$@"; }
mkdir -p "$PARLEY_WORK/npm" "$PARLEY_WORK/wheels"
cd "$PARLEY_WORK/npm"
[ -f kokoro-js-1.2.1.tgz ] || npm pack -s kokoro-js@1.2.1
cd - >/dev/null
# Large buffers stay in the process instead of going back to the kernel after each step: that was half of a step's time.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
wheel="$PARLEY_WORK/wheels/moonshine_voice-0.1.0-py3-none-manylinux_2_34_x86_64.whl"
[ -f "$wheel" ] || pip download -q --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 -d "$PARLEY_WORK/wheels" moonshine_voice==0.1.0
kokoro="$PARLEY_WORK/npm/kokoro-js-1.2.1.tgz"
[ -f "$PARLEY_WORK/tokenizer.json" ] || py tokens
py teach target --count 2400
py teach users-fast --count 6000
py teach users-piper --count 1000
py teach users-focus --count 5500
py teach users-follow --count 1200
py teach users-wide --count 7000
py teach users-kokoro --count 600 --kokoro "$kokoro"
py teach users-kokoro --only focus --count 2000 --kokoro "$kokoro"
py teach users-kokoro --only wide --count 1500 --kokoro "$kokoro"
py teach users-kokoro --only follow --count 600 --kokoro "$kokoro"
# Orders that real people spoke (Apache-2.0). Without them training goes on with synthetic voices alone.
orders="$PARLEY_WORK/orders"
[ -d "$orders" ] || git clone -q --depth 1 https://github.com/Picovoice/speech-to-intent-benchmark "$orders" || rm -rf "$orders"
[ ! -d "$orders" ] || py recorded --orders "$orders"
# Real people who read aloud or say single words, as far as their recordings are here (README.md says where they are from).
for source in commonvoice librispeech an4 commands; do
  [ ! -d "$PARLEY_WORK/$source" ] || py readers "$source" "$PARLEY_WORK/$source"
done
py replies --count 6700
py rooms --beds 2200 --rounds 3
done_once() { [ -f "$PARLEY_WORK/done-$1" ]; }
mark() { touch "$PARLEY_WORK/done-$1"; }
py encode
done_once codec || { py train_codec --wheel "$wheel" --minutes 100; mark codec; }
done_once text || { py train --stage text --minutes 15 --focus 0.75 --floor 0.5; mark text; }
done_once ear || { py listen --wheel "$wheel" --wall 40; mark ear; }
py features
done_once joint || { py train --stage joint --wall 115 --focus 0.8 --floor 0.05 --rate 1.8e-3; mark joint; }
py export
py quantise --turns 40 --kinds cpu
py bundle --golden ../../test/fixtures/where-is-the-restroom.wav --facts "restroom: left of the entrance" "hours: 8 to 20" --expect "restroom left entrance"
py heldout --out "$PARLEY_WORK/heldout" --count 900 --follows 60 --tones 36 --asked 32 --quiet-minutes 81 --kokoro "$kokoro" $([ ! -d "$orders" ] || echo --orders "$orders") \
  --readers $(for s in commonvoice librispeech an4; do [ ! -d "$PARLEY_WORK/$s" ] || echo "$s=$PARLEY_WORK/$s"; done)
