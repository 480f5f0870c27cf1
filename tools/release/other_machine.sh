#!/usr/bin/env bash
# Run tests on Debian's own Python and NumPy (bookworm: 3.11 and 1.24), of this or another processor.
#
#   tools/release/other_machine.sh ARCHITECTURE FOLDER [PYTEST ARGUMENT ...]
#   tools/release/other_machine.sh i386 /tmp/i386 -m "not oracle"
#   tools/release/other_machine.sh s390x /tmp/s390x tests/test_npy.py        a big-endian one
#
# amd64 and i386 run as they are, for which it must be root; armhf, arm64, s390x and others through QEMU, an order of magnitude slower. For armhf it
# must be root too, since proot does not know the call by which its C library asks about files; tests that start a process pass there if the kernel
# knows what to do with a program for ARM (binfmt_misc, which Debian's qemu-user-static registers at its installation where systemd runs). It needs
# debootstrap and, for those, proot and qemu-user-static; nothing is installed outside FOLDER, which is kept for the next time. The tests are those
# of the last commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
architecture=$1 folder=$2
shift 2

if [ ! -e "$folder/.made" ]; then
  packages=python3,python3-numpy,python3-soundfile,python3-cffi-backend,libsndfile1,python3-hypothesis,python3-setuptools,make,gcc,libc6-dev
  debootstrap --foreign --arch="$architecture" --variant=minbase --include="$packages" bookworm "$folder" >"$folder.log"
  for package in "$folder"/var/cache/apt/archives/*.deb; do  # unpacked is enough: no scripts of packages are run
    dpkg-deb -x "$package" "$folder"
  done
  for library in "$folder"/usr/lib/*/libsndfile.so.1; do  # soundfile asks for it by this name where ldconfig has not run
    ln -sf libsndfile.so.1 "${library%.1}"
  done
  # which the scripts of packages would have made
  ln -sf gcc "$folder/usr/bin/cc"
  for library in "$folder"/usr/lib/*/{blas,lapack}/lib*.so.3; do
    within=${library#"$folder"/usr/lib/*/}
    ln -sf "$within" "${library%/"$within"}/"
  done
  # Debian's pytest is older than these tests ask for; it is pure Python, as what it needs
  python3 -m pip -q install --target "$folder/opt/pytest" --only-binary=:all: --python-version 3.11 --implementation py --abi none --platform any \
    "pytest>=8" pytest-xdist
  touch "$folder/.made"
fi
rm -rf "$folder/opt/npreslstm"
mkdir -p "$folder/opt/npreslstm" "$folder/tmp"
git archive HEAD | tar -x -C "$folder/opt/npreslstm"

paths=PYTHONPATH=/opt/npreslstm:/opt/pytest
clean=(env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp LANG=C.UTF-8 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1)
start='import os, sys; os.chdir("/opt/npreslstm"); import pytest; sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))'
# shellcheck disable=SC2016  # $0 and $@ are those of the inner shell
enter=(unshare --mount sh -c 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$folder")
case $architecture in
  amd64 | i386)
    exec "${clean[@]}" "$paths" setarch "${architecture/amd64/x86_64}" "${enter[@]}" /usr/bin/python3 -c "$start" "$@" ;;
  armhf)
    cp "$(command -v qemu-arm-static)" "$folder/usr/bin/"
    exec "${clean[@]}" "${enter[@]}" /usr/bin/qemu-arm-static -E "$paths" /usr/bin/python3 -c "$start" "$@" ;;
  *)
    machine=$(sed 's/^arm64$/aarch64/; s/^ppc64el$/ppc64le/' <<<"$architecture")
    exec "${clean[@]}" proot -q "$(command -v "qemu-$machine-static")" -r "$folder" -b /proc -b /dev /usr/bin/env "$paths" \
      /usr/bin/python3 -c "$start" "$@" ;;
esac
