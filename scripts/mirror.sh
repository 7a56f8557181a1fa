# SPDX-License-Identifier: GPL-2.0
# Where Debian is: what this machine's own apt is configured for, so that a local
# mirror is used where there is one.

mirror() {
	local m
	m=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | sort -u | head -n 1)
	[ -n "$m" ] || die "no Debian mirror among this machine's apt sources"
	echo "${m%/}"
}

# sources SUITE - its apt sources; those of trixie are a stable release's, with backports. An index
# of any other, which is not for use outside of guests, may be old, as that of a mirror that lags
# behind: apt takes those of testing for a week. It has to be signed all the same.
sources() {
	local m s
	m=$(mirror)
	if [ "$1" != trixie ]; then
		printf 'deb [check-valid-until=no] %s %s main\n' "$m" "$1"
		return
	fi
	s=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian-security/?$' | sort -u | head -n 1)
	s=${s:-${m%/debian}/debian-security}
	printf 'deb %s %s main\n' "$m" trixie "$m" trixie-updates "$m" trixie-backports \
		"${s%/}" trixie-security
}
