#!/usr/bin/env bash
# Make the demo clip: one sentence from the speech synthesiser espeak-ng, so that it is ours to ship. No recording of a person is in it.
#
#   apt-get install espeak-ng sox
#   tools/make_demo_clip.sh [OUT.wav]      default: npreslstm/data/demo.wav
#
# The committed clip came from espeak-ng 1.51 and SoX 14.4.2 (Debian 12); with these versions the script makes it again, bit for bit.
set -euo pipefail
out=${1:-$(dirname "$0")/../npreslstm/data/demo.wav}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A high voice, a wide pitch range and one stressed word: speech that sounds excited.
printf '%s' '<speak><prosody range="180%">The last train <emphasis level="strong">leaves</emphasis> at ten past eight!</prosody></speak>' |
  espeak-ng -m -v en-us+f3 -s 175 -p 70 -a 60 --stdin -w "$work/voice.wav"

# 48 kHz is the rate that the default features expect. espeak-ng says nothing above 11 kHz: faint pink noise stands for a quiet room, as
# a microphone would have heard it. PCM WAV rather than FLAC, since the standard library reads it where soundfile is absent.
sox -R "$work/voice.wav" -r 48000 -c 1 -b 32 -e floating-point "$work/padded.wav" reverse silence 1 0.01 1% reverse pad 0.15 0.25 norm -6
sox -R "$work/padded.wav" "$work/noise.wav" synth pinknoise vol -66dB
sox -R -m -v 1 "$work/padded.wav" -v 1 "$work/noise.wav" -b 16 -e signed-integer "$work/demo.wav"
mv "$work/demo.wav" "$out"
