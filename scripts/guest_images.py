# SPDX-License-Identifier: GPL-2.0
"""What a guest boots from: disk images for one run of scripts/guest, and the accelerator."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def made_by(script, *args):
    return subprocess.run([f"{TOP}/scripts/{script}", *args], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def run(*cmd):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)


def modules_image(kernel, out):
    """The kernel's modules, our driver and the tests' modules as a disk image, made when one
    of them is new."""
    base = f"{kernel}/modules/lib/modules"
    if not os.path.isdir(base):
        return None
    release = os.listdir(base)[0]
    built = f"{TOP}/build/{release}"
    have = sorted(glob.glob(f"{built}/ib_iser_rs.ko") + glob.glob(f"{built}/*/*.ko"))
    stamp = f"{kernel} {' '.join(str(os.stat(m).st_mtime_ns) for m in have)}\n"
    image = f"{out}/modules-{release}.ext4"
    os.makedirs(out, exist_ok=True)
    if os.path.exists(image) and open(image + ".stamp").read() == stamp:
        return image
    with tempfile.TemporaryDirectory(dir=os.path.dirname(kernel)) as tmp:
        run("cp", "-al", f"{kernel}/modules/lib", tmp)
        if have:
            os.makedirs(f"{tmp}/lib/modules/{release}/updates")
            for module in have:
                shutil.copy(module, f"{tmp}/lib/modules/{release}/updates")
            for index in os.listdir(f"{tmp}/lib/modules/{release}"):
                if index.startswith("modules.") and not index.startswith(("modules.b", "modules.o")):
                    os.unlink(f"{tmp}/lib/modules/{release}/{index}")
            run("depmod", "-b", tmp, release)
        part = f"{image}.{os.getpid()}"
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", f"{tmp}/lib/modules",
            part, "512M")
    os.rename(part, image)
    with open(image + ".stamp", "w") as f:
        f.write(stamp)
    return image


def share_image(tmp, extra):
    """tests/ and tools/ of the checkout, what make tools has built, and what was asked for, as
    the guest's /share."""
    root = f"{tmp}/share"
    os.mkdir(root)
    for part in ("tests", "tools"):
        if os.path.isdir(f"{TOP}/{part}"):
            shutil.copytree(f"{TOP}/{part}", f"{root}/{part}",
                            ignore=shutil.ignore_patterns("target", "__pycache__"))
    built = [p for p in (f"{TOP}/build/iser-stat",) if os.path.exists(p)]
    for path in (f"{TOP}/scripts/modprobe.conf", *built, *extra):
        dest = f"{root}/{os.path.basename(path)}"
        shutil.copytree(path, dest) if os.path.isdir(path) else shutil.copy(path, dest)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, f"{tmp}/share.ext4", "64M")
    return f"{tmp}/share.ext4"


def accelerator(kernel):
    """KVM where a guest boots with it; a /dev/kvm says little. The answer is kept."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE,
                             check=True, text=True).stdout.split()[3]
    memo = f"{os.path.dirname(kernel)}/accel-{os.uname().release}-{version}"
    if not os.path.exists(memo):
        answer = "tcg,thread=multi"
        if os.access("/dev/kvm", os.W_OK) and os.path.exists(f"{kernel}/initrd"):
            try:
                out = subprocess.run(
                    ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512",
                     "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                     "-kernel", f"{kernel}/vmlinuz", "-initrd", f"{kernel}/initrd",
                     "-append", "console=ttyS0 panic=-1 guest.trial"], timeout=20,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                if b"guest-trial-ok" in out.stdout:
                    answer = "kvm"
            except subprocess.TimeoutExpired:
                pass
            print(f"==> accelerator of the guests: {answer}", file=sys.stderr)
        with open(f"{memo}.{os.getpid()}", "w") as f:
            f.write(answer)
        os.rename(f.name, memo)
    return open(memo).read()
