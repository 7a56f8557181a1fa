# SPDX-License-Identifier: GPL-2.0
# Where Debian is: what this machine's own apt is configured for, so that a local
# mirror is used where there is one.

mirror() {
	local m
	m=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | sort -u | head -n 1)
	[ -n "$m" ] || die "no Debian mirror among this machine's apt sources"
	echo "${m%/}"
}

trixie_sources() {
	local m s
	m=$(mirror)
	s=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian-security/?$' | sort -u | head -n 1)
	s=${s:-${m%/debian}/debian-security}
	printf 'deb %s %s main\n' "$m" trixie "$m" trixie-updates "$m" trixie-backports \
		"${s%/}" trixie-security
}
