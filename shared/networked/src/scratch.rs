//! A folder for what only this process needs, and only while it runs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A folder that goes with its process. Of one that was killed, the next process removes it: the lock beside the folder
/// tells whether somebody still works there.
pub struct Scratch {
    folder: PathBuf,
    lock_file: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a folder in `parent`, which any number of processes may share.
    ///
    /// # Errors
    /// When `parent` cannot be written.
    pub fn open(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        remove_abandoned(parent)?;
        loop {
            let folder = parent.join(Uuid::new_v4().simple().to_string());
            let lock_file = folder.with_extension("lock");
            let lock = File::create_new(&lock_file)?;
            lock.lock()?;
            // Another process may have taken it for abandoned before it was locked.
            if lock_file.exists() {
                fs::create_dir(&folder)?;
                return Ok(Scratch {
                    folder,
                    lock_file,
                    _lock: lock,
                });
            }
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is removed by the next process.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock_file);
    }
}

fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = File::open(&path) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        match fs::remove_dir_all(path.with_extension("")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_keep_apart_and_what_was_left_goes() {
        let parent = tempfile::tempdir().expect("a folder");
        let first = Scratch::open(parent.path()).expect("opens");
        fs::write(first.folder().join("spilled"), "rows").expect("written");
        let second = Scratch::open(parent.path()).expect("opens");
        assert!(first.folder().join("spilled").exists() && second.folder() != first.folder());

        // A process that is killed leaves folder and lock file behind, the latter unlocked.
        let killed = parent.path().join("killed");
        fs::create_dir(&killed).expect("made");
        fs::write(killed.join("spilled"), "rows").expect("written");
        fs::write(killed.with_extension("lock"), "").expect("written");
        let third = Scratch::open(parent.path()).expect("opens");
        assert!(!killed.exists() && !killed.with_extension("lock").exists());
        drop((first, second, third));
        assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 0);
    }
}
