#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Puts ib_iser_rs into an initramfs that was told to take ib_iser.
# shellcheck disable=SC2154 # Set by dracut.

check() {
	[[ " $drivers $add_drivers $force_drivers " == *" ib_iser "* ]] || return 255
}

installkernel() {
	hostonly='' instmods ib_iser_rs
}
