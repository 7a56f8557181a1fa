#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A kernel that does not fit is refused with one line that names it and the cause.
. "$(dirname "$0")/common"
status=0

# refused EXPECTED COMMAND… - fails, and the last line but make's own is what is expected.
refused() {
	local want=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "not refused: $*"
		status=1
	elif [ "$(grep -v '^make' <<<"$said")" != "$want" ]; then
		printf 'wanted: %s\ngot:    %s\n' "$want" "$said"
		status=1
	fi
}

tree=$(mktemp -d "$top/build/refusals.XXXXXX")
trap 'rm -rf "$tree"' EXIT
refused "build-module: $tree is no built kernel tree" make KDIR="$tree"
mkdir -p "$tree/include/config"
refused "build-module: $tree is no built kernel tree" make KDIR="$tree"
echo 7.3.4-test >"$tree/include/config/kernel.release"
echo CONFIG_MODULES=y >"$tree/include/config/auto.conf"
refused "build-module: the kernel in $tree was configured without CONFIG_RUST" make KDIR="$tree"
echo 6.12.9-test >"$tree/include/config/kernel.release"
refused "build-module: kernel 6.12.9-test in $tree: not supported: this driver is for the series 7.2 and 7.3" \
	make KDIR="$tree"
echo 7.3.4-test >"$tree/include/config/kernel.release"
printf '%s\n' CONFIG_RUST=y 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.99.0"' >"$tree/include/config/auto.conf"
refused "build-module: the kernel in $tree has no Rust metadata (rust/libkernel.rmeta); for a kernel of Debian, make without KDIR makes that" \
	make KDIR="$tree"

supported="not supported: this driver is for the series 7.2 and 7.3"
refused "kernel 6.1.0-28-amd64: $supported" scripts/kernel-metadata 6.1.0-28-amd64
refused "kernel 7.10.1-amd64: $supported" scripts/kernel-metadata 7.10.1-amd64
refused "kernel 7.3.99-amd64: its headers are missing: apt install linux-headers-7.3.99-amd64" \
	scripts/kernel-metadata 7.3.99-amd64

# with CONFIGURATION… - asks for a kernel whose headers have that configuration.
with() {
	printf '%s\n' "$@" >"$tree/.config"
	scripts/in-buildroot bash -c "mount -t tmpfs none /usr/src &&
		mkdir /usr/src/linux-headers-7.3.99-amd64 && cp $tree/.config /usr/src/linux-headers-7.3.99-amd64 &&
		scripts/kernel-metadata 7.3.99-amd64"
}
rustc=$(scripts/in-buildroot rustc --version)
mkdir "$tree/rust"
touch "$tree/rust/libkernel.rmeta"
refused "build-module: the kernel in $tree was built with rustc 1.99.0, but here is $rustc" make KDIR="$tree"
refused "kernel 7.3.99-amd64: was built without CONFIG_RUST" with CONFIG_MODULES=y
refused "kernel 7.3.99-amd64: was built with rustc 1.99.0, but here is $rustc" \
	with CONFIG_RUST=y 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.99.0"'
refused "kernel 7.3.99-amd64: its source is missing: apt install linux-source-7.3" \
	with CONFIG_RUST=y "CONFIG_RUSTC_VERSION_TEXT=\"$rustc\""
exit $status
