//! As whom PostgreSQL runs: it refuses to run as root, so root hands it to another user, in a folder that this user reaches.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::error::StackError;

/// The users that are tried, in this order.
const USERS: &[&str] = &["postgres", "nobody"];
/// Where data lives that must be reachable by another user than root, whose own folders are closed to all others.
const SHARED: &str = "/var/lib/flashsale";

/// Another user than the one who starts the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Account {
    /// Whom root hands PostgreSQL to; none where nobody needs to be: it runs as the user who starts it.
    ///
    /// # Errors
    /// When this is root and there is neither of the users.
    pub fn for_postgres() -> Result<Option<Self>, StackError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        USERS
            .iter()
            .find_map(|name| Self::named(name))
            .map(Some)
            .ok_or(StackError::Missing("a user postgres or nobody"))
    }

    fn named(name: &str) -> Option<Self> {
        let id = |which: &str| {
            let output =
                Command::new("id").args([which, name]).output().ok().filter(|output| output.status.success())?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        Some(Self { uid: id("-u")?, gid: id("-g")? })
    }

    /// Whether this user can walk to a folder.
    fn reaches(self, folder: &Path) -> bool {
        folder.ancestors().all(|above| {
            above.metadata().is_ok_and(|about| {
                let needed = match () {
                    () if about.uid() == self.uid => 0o100,
                    () if about.gid() == self.gid => 0o010,
                    () => 0o001,
                };
                about.mode() & needed != 0
            })
        })
    }

    /// Where this user's data of a sale's folder lives: inside it if the user reaches it, else in the shared place.
    #[must_use]
    pub fn home(self, folder: &Path) -> PathBuf {
        if self.reaches(folder) {
            return folder.join("servers");
        }
        let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        Path::new(SHARED).join(flashsale_engine::id::hex(&hash[..8]))
    }

    /// Makes a folder that this user owns and nobody else reads.
    ///
    /// # Errors
    /// The file system's.
    pub fn make_folder(self, folder: &Path) -> Result<(), StackError> {
        let made = || {
            if let Some(above) = folder.parent() {
                std::fs::DirBuilder::new().recursive(true).mode(0o711).create(above)?;
            }
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            chown(folder, Some(self.uid), Some(self.gid))
        };
        made().map_err(StackError::at(folder))
    }

    /// Writes a file that this user owns and nobody else reads.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(account: Option<Self>, file: &Path, text: &str) -> Result<(), StackError> {
        let written = || {
            std::fs::write(file, "")?;
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o600))?;
            std::fs::write(file, text)?;
            account.map_or(Ok(()), |account| chown(file, Some(account.uid), Some(account.gid)))
        };
        written().map_err(StackError::at(file))
    }

    /// Lets a command run as this user.
    pub fn take(account: Option<Self>, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
    }
}
