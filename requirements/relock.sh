#!/usr/bin/env bash
# Resolves fathom-rag[cpu] and [ocr,dev] in a scratch environment and writes cpu.lock and dev.lock. Usage: relock.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" -m venv "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
torch=$(sed -n 's/^torch==//p' requirements/cpu.lock)

freeze() { # names and versions, without local parts, fathom itself, what does not match this torch, and what reports on users
  "${pip[@]}" freeze --all --exclude-editable |
    sed -E 's/\+[a-z0-9.]+$//; s/ @ .*//' |
    grep -viE '^(pip|fathom-rag|torchvision|torchaudio|torchcodec|openvino-telemetry)(=|$)' | tr '[:upper:]_' '[:lower:]-' | LC_ALL=C sort
}

"${pip[@]}" install --quiet "torch==$torch" ".[cpu]"
freeze >"$scratch/cpu"
"${pip[@]}" install --quiet "torch==$torch" ".[cpu,ocr,dev]"
freeze >"$scratch/all"
{
  sed -n '/^#/p' requirements/cpu.lock
  cat "$scratch/cpu"
} >"$scratch/cpu.lock"
{
  sed -n '/^#/p' requirements/dev.lock
  LC_ALL=C comm -13 "$scratch/cpu" "$scratch/all"
} >"$scratch/dev.lock"
mv "$scratch/cpu.lock" requirements/cpu.lock
mv "$scratch/dev.lock" requirements/dev.lock
wc -l requirements/*.lock
