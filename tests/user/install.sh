#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# On a stock Debian 13 with the kernel of backports: the package is installed, and after the
# next boot the command of discovery logs in through ib_iser_rs. Logins at boot, mounts, dead
# targets, the way back; kernels that do not fit; removing it leaves what was there before.
# only: ib_iser_rs
. "$(dirname "$0")/common"
must "the kernel of the guests" scripts/guest-kernel
stock_debian
package=ib-iser-rs-dkms
version=$(dpkg-deb -f "$deb" Version)
modules=/lib/modules/$release
initrd=/boot/initrd.img-$release

# All but what Debian keeps for itself of what was done: files with type, mode and target, and
# the content of what decides how modules are loaded, and what an initramfs has but for the two
# files of this test, which the first that is made afterwards takes along.
as_it_is() {
	in_tree sh -c 'find / -xdev \( -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /tmp \) \
			-prune -o -printf "%p %y %m %l\n" | sort
		find /etc "/usr$1" /usr/lib/modprobe.d /usr/lib/dracut -type f -exec md5sum {} + | sort -k 2
		lsinitramfs "$2" | grep -vE "/(local\.conf|10-rdma\.link)$" | sort' sh "$modules" "$initrd"
}

# What an administrator of this machine has set up: its RDMA device, an option of ib_iser.
rdma_by_name
mkdir -p "$changed"/etc/{modprobe.d,network/interfaces.d}
cat >"$changed/etc/network/interfaces.d/rdma" <<-EOT
	auto rdma0
	iface rdma0 inet static
		address 10.0.0.2/24
		post-up rdma link add rxe0 type rxe netdev rdma0
EOT
echo 'options ib_iser max_sectors=256 debug_level=1' >"$changed/etc/modprobe.d/local.conf"
mkdir -p "$changed/root"
cp "$deb" "$changed/root/"
as_it_is >"$work/before"

### Installed

must "installation of the package" apt install "/root/$(basename "$deb")"
cp "$work/said" "$work/install.log"
say "installed"
in_tree dkms status >"$work/status"
equal "what dkms says" "ib_iser_rs/$version, $release, x86_64: installed" "$(cat "$work/status")"

# For the keys of the kernel, if somebody enrols that of DKMS: what is verified here is that it
# is DKMS's signature, and the module's. It ends with a structure of 12 bytes, the last 4 of
# which are the signature's length, and a line of 28.
in_tree sh -euc '
	cd /root && cp "$(modinfo -k "$1" -F filename ib_iser_rs)" . && xz -dq ./*.ko.xz
	length=$((0x$(tail -c 32 ib_iser_rs.ko | head -c 4 | od -An -tx1 | tr -d " ")))
	tail -c $((length + 40)) ib_iser_rs.ko | head -c $length >signature
	head -c -$((length + 40)) ib_iser_rs.ko >module
	openssl x509 -in /var/lib/dkms/mok.pub -inform DER >key
	openssl cms -verify -binary -inform DER -in signature -content module \
		-certfile key -nointern -noverify >/dev/null
	rm ib_iser_rs.ko signature module key' sh "$release" >"$work/signature" 2>&1 ||
	fail "the module is not signed by DKMS's key: $(cat "$work/signature")"
equal "who signed the module" "DKMS module signing key" "$(in_tree modinfo -k "$release" -F signer ib_iser_rs)"

# takes_both LIST - an initramfs has what root on iSER needs, and leads from one to the other.
takes_both() {
	local f
	for f in "ib_iser\.ko" "ib_iser_rs\.ko" "modprobe.d/ib_iser-is-ib_iser_rs.conf"; do
		grep -q "/$f" "$1" || fail "the initramfs lacks $f, see $1"
	done
}
in_tree lsinitramfs "$initrd" >"$work/initramfs"
takes_both "$work/initramfs"
say "signed, and in the initramfs"

### Booted, as a guest that scripts/guest can talk to

machine=$work/machine
mkdir -p "$machine"
cp -L "$changed$initrd" "$machine/initrd"
cp "${below#*:}/boot/vmlinuz-$release" "$machine/vmlinuz"
image_of "$machine/root.ext4"
say "an image of it"
scripts/guest --quiet --dir "$work/guest" --limit 900 --memory 2G --env DRIVER=ib_iser_rs \
	--peer debian --machine "debian=$machine" --disk 64M tests/user/guest/boots >"$work/guest.log" 2>&1 &
guest=$!
trap 'kill $guest 2>/dev/null; wait' EXIT

### Meanwhile, other kernels

# refused RELEASE REASON [CONFIGURATION…] - a kernel with that configuration installs, one line
# says why it does not get the driver.
refused() {
	local kernel=$1 reason=$2
	shift 2
	mkdir -p "$changed/usr/lib/modules/$kernel/build/include" "$changed/usr/src/linux-headers-$kernel"
	printf '%s\n' "$@" >"$changed/usr/src/linux-headers-$kernel/.config"
	must "installation of the kernel $kernel" in_tree /etc/kernel/header_postinst.d/dkms "$kernel"
	equal "what is said of $kernel" "ib_iser_rs is not built, ib_iser stays in use: kernel $kernel: $reason" \
		"$(grep -a 'ib_iser_rs is not' "$work/said")"
	rm -r "$changed/usr/lib/modules/$kernel" "$changed/usr/src/linux-headers-$kernel"
}
rustc=$(in_tree rustc --version)
refused 6.12.99-amd64 "not supported: this driver is for the series 7.2 and 7.3"
refused 7.3.98-amd64 "was built without CONFIG_RUST" CONFIG_MODULES=y
refused 7.3.99-amd64 "was built with rustc 1.99.0, but here is $rustc" \
	CONFIG_RUST=y 'CONFIG_RUSTC_VERSION_TEXT="rustc 1.99.0"'
say "kernels that do not fit"

# Another maker of initramfs.
must "dracut" apt install --no-install-recommends dracut-core
must "an initramfs by dracut" in_tree dracut --no-hostonly --no-early-microcode --no-compress \
	--add-drivers ' ib_iser ' /root/initramfs "$release"
in_tree lsinitrd /root/initramfs >"$work/dracut"
takes_both "$work/dracut"
in_tree rm /root/initramfs
must "dracut, away" apt purge dracut-core
say "dracut"

# A kernel whose compiler is not there yet, and then is.
must "taking the module away" in_tree dkms uninstall "ib_iser_rs/$version" -k "$release"
in_tree mv /usr/bin/rustc /root/
must "installation of the kernel's headers" apt install --reinstall "linux-headers-$release"
equal "what is said" 1 "$(grep -ac "ib_iser_rs is not built, ib_iser stays in use: kernel $release: no rustc here" "$work/said")"
in_tree mv /root/rustc /usr/bin/
must "installation of the compiler" apt install --reinstall rustc
equal "what dkms says" "ib_iser_rs/$version, $release, x86_64: installed" "$(in_tree dkms status)"
say "built when the compiler came"

### Removed

must "removal" apt remove $package
as_it_is >"$work/after"
diff "$work/before" "$work/after" >"$work/left" || fail "removal left or took: $(cat "$work/left")"
must "purge" apt purge $package
as_it_is | diff "$work/before" - >"$work/left" || fail "purge left or took: $(cat "$work/left")"
equal "what dkms has" "" "$(in_tree dkms status)"
in_tree modprobe -S "$release" --show-depends ib_iser >"$work/modprobe"
grep -q '^insmod .*/ib_iser\.ko' "$work/modprobe" || fail "ib_iser is not loaded any more: $(cat "$work/modprobe")"
say "removed"

trap - EXIT
wait "$guest"
status=$?
cat "$work/guest/output" "$work/guest.log"
exit $status
