#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A stock Debian 13 whose root is on iSER, set up as the guide says, on a machine with Secure Boot
# whose firmware has the key of DKMS among its owner's: shim, GRUB, the kernel and the initramfs
# lead to that root by ib_iser_rs.
# only: ib_iser_rs
. "$(dirname "$0")/common"
must "the kernel of the guests" scripts/guest-kernel
stock_debian
target=iqn.2003-01.org.example:t
guide=Documentation/administration.rst

### The system that is to boot

rdma_by_name
mkdir -p "$changed/root" "$changed"/etc/{iscsi,initramfs-tools/{hooks,scripts/local-top}}
cp "$deb" "$changed/root/"
must "installation of the package" apt install "/root/$(basename "$deb")"

# The script of the guide, for a device that is rxe.
sed -n '/^    #!\/bin\/sh/,/^    udevadm settle/s/^    //p' $guide |
	sed 's/^modprobe ib_iser$/rdma link add rxe0 type rxe netdev "$DEVICE"\n&/' \
	>"$changed/etc/initramfs-tools/scripts/local-top/iser"
equal "lines of the guide's script for its root" 12 "$(wc -l <"$changed/etc/initramfs-tools/scripts/local-top/iser")"
cat >"$changed/etc/initramfs-tools/hooks/rxe" <<-'EOT'
	#!/bin/sh
	[ "$1" != prereqs ] || exit 0
	. /usr/share/initramfs-tools/hook-functions
	copy_exec /usr/bin/rdma
	manual_add_modules rdma_rxe
EOT
chmod +x "$changed"/etc/initramfs-tools/{hooks/rxe,scripts/local-top/iser}
touch "$changed/etc/iscsi/iscsi.initramfs"
must "the record" in_tree iscsiadm -m node -o new -T $target -p 10.0.0.1:3260,1 -I iser
must "the initramfs" in_tree update-initramfs -u -k "$release"
machine=$work/machine
mkdir -p "$machine"
# The target has it.
image_of "$work/root.ext4"
say "an image of it"

### The machine: its firmware, and the disk that it boots from

must "what boots with Secure Boot" apt install --no-install-recommends shim-signed grub-efi-amd64-signed \
	ovmf python3-virt-firmware dosfstools mtools
cat >"$changed/root/grub.cfg" <<-EOT
	linux (\$root)/vmlinuz console=ttyS0 panic=-1 oops=panic loglevel=5 log_buf_len=4M no_timer_check \\
		tsc_early_khz=$(cd "$top/scripts" && python3 -Bc 'import guest_vm; print(guest_vm.tsc_khz())') \\
		root=UUID=$(blkid -o value -s UUID "$work/root.ext4") rw ip=10.0.0.2:::255.255.255.0::rdma0:none
	initrd (\$root)/initrd
	boot
EOT
# The key as shim's MokManager would keep it. 605dab50-… is shim's own namespace.
# shellcheck disable=SC2016 # Expanded there.
must "the firmware and its disk" in_tree sh -euc '
	cd /root
	openssl x509 -in /var/lib/dkms/mok.pub -inform DER -out key.pem
	virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.ms.fd --output vars.fd \
		--add-mok 605dab50-e046-4300-abb6-3dd810dd8b23 key.pem
	truncate -s 256M esp
	mkfs.vfat -n ESP esp >/dev/null
	mmd -i esp ::EFI ::EFI/BOOT ::EFI/debian
	mcopy -i esp /usr/lib/shim/shimx64.efi.signed ::EFI/BOOT/BOOTX64.EFI
	mcopy -i esp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed ::EFI/BOOT/grubx64.efi
	mcopy -i esp grub.cfg ::EFI/debian/grub.cfg
	mcopy -i esp "/boot/vmlinuz-$1" ::vmlinuz
	mcopy -i esp "/boot/initrd.img-$1" ::initrd' sh "$release"
mv "$changed"/root/{esp,vars.fd} "$machine/"
cp "$changed/usr/share/OVMF/OVMF_CODE_4M.secboot.fd" "$machine/code.fd"
say "a machine with Secure Boot"

scripts/guest --dir "$work/guest" --limit 600 --memory 2G --env DRIVER=ib_iser_rs \
	--peer debian --off debian --machine "debian=$machine" \
	--qemu "-drive file=$work/root.ext4,format=raw,id=r,if=none,snapshot=on -device virtio-blk-pci,drive=r,serial=disk0" \
	tests/user/guest/root
