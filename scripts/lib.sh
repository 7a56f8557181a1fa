# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts of this folder: where things are, how progress is shown,
# how something expensive is made once and kept.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scripts=$top/scripts
build=$top/build
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ib_iser_rs
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" = 0 ] || die "needs root (it makes chroots and disk images)"
}

# step LABEL COMMAND… - runs it quietly, shows LABEL and how long it took, and the
# end of its log if it failed. Everything is kept in build/log/.
step() {
	local label=$1 begin=$SECONDS log rc
	shift
	mkdir -p "$build/log"
	log=$build/log/$(tr -cs 'a-zA-Z0-9._\n' - <<<"$label").log
	printf '==> %s … ' "$label" >&2
	set +e # or the shell would not stop at the first error in "$@"
	(set -e; "$@") >"$log" 2>&1 </dev/null
	rc=$?
	set -e
	if [ $rc = 0 ]; then
		echo "$((SECONDS - begin)) s" >&2
		return 0
	fi
	echo "failed after $((SECONDS - begin)) s" >&2
	tail -n 30 "$log" | sed 's/^/    /' >&2
	die "$label failed (status $rc), whole log: $log"
}

# key WHAT… - a short name for something that depends on these files and words.
key() {
	local what
	for what; do
		if [ -f "$what" ]; then cat "$what"; else echo "$what"; fi
	done | sha256sum | cut -c1-12
}

# cached NAME LABEL COMMAND… - the path of cache item NAME, a folder that COMMAND fills
# (it is the last argument) unless that was done before. An item counts only once its
# mark is there, so that an interrupted one is made anew; it is made in its place, as
# kbuild's output knows its own path. The lock goes with the process that holds it.
cached() {
	local name=$1 label=$2 item=$cache/$1 lock
	shift 2
	if [ ! -e "$item/.complete" ]; then
		mkdir -p "$cache"
		exec {lock}>"$cache/.lock.$name"
		flock "$lock"
		if [ ! -e "$item/.complete" ]; then
			rm -rf "$item"
			mkdir "$item"
			step "$label" "$@" "$item"
			touch "$item/.complete"
		fi
		exec {lock}>&-
	fi
	echo "$item"
}
