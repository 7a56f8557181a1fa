// SPDX-License-Identifier: GPL-2.0

//! Directories in debugfs.
//!
//! `kernel::debugfs` does not say to which module a file belongs. Whoever closes a file of a module
//! that was unloaded in the meantime would get at operations that are gone. So these hold the
//! module, by a few lines of C.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use kernel::{bindings::seq_file, prelude::*, seq_file::SeqFile, sync::Arc};

use crate::bindings;

/// The directory of the module, in which all others are.
pub(crate) const ROOT: &CStr = c"ib_iser_rs";

/// A file, made anew by `show` each time it is read.
pub(crate) struct File<T> {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// Writes what is in it. May sleep.
    pub(crate) show: fn(&T, &SeqFile),
    /// Takes what was written to it, a boolean. May sleep.
    pub(crate) set: Option<fn(&T, bool)>,
}

/// What can be looked at in a directory.
pub(crate) trait Shown: Sized + Send + Sync + 'static {
    /// The files.
    const FILES: &'static [File<Self>];
}

#[repr(C)]
struct Entry<T: Shown> {
    raw: bindings::iser_rs_file,
    file: &'static File<T>,
    shown: *const T,
}

/// A directory, which is there as long as this.
///
/// # Invariants
///
/// `dir` is a directory in debugfs, or what debugfs takes for none. The data of its files are
/// elements of `entries`, which is not changed any more, and whose `shown` is that of `self`.
pub(crate) struct Directory<T: Shown> {
    dir: *mut kernel::bindings::dentry,
    _entries: KVec<Entry<T>>,
    _shown: Arc<T>,
}

// SAFETY: `T` is `Send` and `Sync`, and debugfs locks what it needs.
unsafe impl<T: Shown> Send for Directory<T> {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl<T: Shown> Sync for Directory<T> {}

impl<T: Shown> Directory<T> {
    /// Makes the directory in `parent`, or at the top. May sleep.
    ///
    /// Where there is no debugfs, it is invisible.
    pub(crate) fn new(parent: Option<&CStr>, name: &CStr, shown: Arc<T>) -> Result<Self> {
        let mut entries = KVec::with_capacity(T::FILES.len(), GFP_KERNEL)?;
        for file in T::FILES {
            let entry = Entry {
                raw: bindings::iser_rs_file {
                    show: Some(Self::show),
                    set: file
                        .set
                        .is_some()
                        .then_some(Self::set as unsafe extern "C" fn(_, _)),
                },
                file,
                shown: &raw const *shown,
            };
            entries.push(entry, GFP_KERNEL)?;
        }
        let parent = parent.map_or(core::ptr::null(), CStr::as_char_ptr);
        // SAFETY: Valid strings, or null.
        let dir = unsafe { bindings::iser_rs_debugfs_dir(parent, name.as_char_ptr()) };
        if !dir.is_null() {
            for entry in &entries {
                // SAFETY: Valid, and so is the entry as long as the directory is there.
                unsafe {
                    bindings::iser_rs_debugfs_file(dir, entry.file.name.as_char_ptr(), &entry.raw);
                }
            }
        }
        // INVARIANT: As just made; moving the vector does not move what is in it.
        Ok(Self {
            dir,
            _entries: entries,
            _shown: shown,
        })
    }

    /// # Safety
    ///
    /// `raw` must be that of an entry of a directory that is there during `'a`.
    unsafe fn entry<'a>(raw: *const bindings::iser_rs_file) -> (&'static File<T>, &'a T) {
        // SAFETY: `raw` is the first field of an entry, by the type invariant of the directory.
        unsafe {
            let entry = &*raw.cast::<Entry<T>>();
            (entry.file, &*entry.shown)
        }
    }

    /// # Safety
    ///
    /// Called by the helper alone, while the file is there.
    unsafe extern "C" fn show(m: *mut seq_file, raw: *const bindings::iser_rs_file) {
        // SAFETY: As required of the caller.
        let ((file, shown), m) = unsafe { (Self::entry(raw), SeqFile::from_raw(m)) };
        (file.show)(shown, m);
    }

    /// # Safety
    ///
    /// Called by the helper alone, while the file is there.
    unsafe extern "C" fn set(raw: *const bindings::iser_rs_file, on: bool) {
        // SAFETY: As required of the caller.
        let (file, shown) = unsafe { Self::entry(raw) };
        if let Some(set) = file.set {
            set(shown, on);
        }
    }
}

impl<T: Shown> Drop for Directory<T> {
    fn drop(&mut self) {
        // Waits for those who read. Must not be done with a lock that they take.
        // SAFETY: By the type invariant.
        unsafe { bindings::iser_rs_debugfs_remove(self.dir) };
    }
}
