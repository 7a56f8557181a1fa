# SPDX-License-Identifier: GPL-2.0
# content FILE - what is in an initramfs; remake RELEASE - makes that of a kernel anew.
content() {
	if command -v lsinitramfs >/dev/null; then
		lsinitramfs "$1"
	elif command -v lsinitrd >/dev/null; then
		lsinitrd "$1"
	fi 2>/dev/null || true
}
remake() {
	if command -v update-initramfs >/dev/null; then
		update-initramfs -u -k "$1"
	elif [ -x /etc/kernel/postinst.d/dracut ]; then
		DEB_MAINT_PARAMS=configure /etc/kernel/postinst.d/dracut "$1"
	fi
}
