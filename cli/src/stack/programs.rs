//! Where servers' programs are: on PATH, then in their distributions' usual folders.

use std::path::{Path, PathBuf};

use super::error::StackError;

/// Folders that a PATH may lack and a distribution's package uses.
const USUAL: &[&str] = &["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];
/// Folders whose subfolders are versions of PostgreSQL.
const POSTGRES: &[&str] = &["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"];
/// The oldest PostgreSQL that a sale runs on.
pub const OLDEST_POSTGRES: u32 = 15;

/// A program on PATH or in the usual folders.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(USUAL.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// The folder of PostgreSQL's server programs, 15 or newer: PATH's if it fits, else the newest of the distribution's.
///
/// # Errors
/// When there is none.
pub fn postgres() -> Result<PathBuf, StackError> {
    let on_path = find("postgres").and_then(|file| file.canonicalize().ok()?.parent().map(Path::to_path_buf));
    let fits = |folder: &Path| postgres_version(folder).is_some_and(|version| version >= OLDEST_POSTGRES);
    if let Some(folder) = on_path.filter(|folder| fits(folder)) {
        return Ok(folder);
    }
    let versions = POSTGRES.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| is_program(&folder.join("postgres")) && fits(folder))
        .max_by_key(|folder| postgres_version(folder))
        .ok_or(StackError::Missing("PostgreSQL 15 or newer"))
}

/// The major version of the PostgreSQL in a folder: `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn postgres_version(folder: &Path) -> Option<u32> {
    let output = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout), "(PostgreSQL) ")
}

/// Redis 7 or Valkey.
///
/// # Errors
/// When there is none.
pub fn redis() -> Result<PathBuf, StackError> {
    let valkey = find("valkey-server");
    let redis = || find("redis-server").filter(|file| redis_version(file).is_some_and(|version| version >= 7));
    valkey.or_else(redis).ok_or(StackError::Missing("Redis 7 or Valkey"))
}

/// `Redis server v=7.0.15 sha=00000000:0 ...`
fn redis_version(file: &Path) -> Option<u32> {
    let output = std::process::Command::new(file).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout), "v=")
}

/// Java 17 or newer: `JAVA_HOME`'s if it fits, else PATH's.
///
/// # Errors
/// When there is none.
pub fn java() -> Result<PathBuf, StackError> {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let fits = |file: &PathBuf| is_program(file) && java_version(file).is_some_and(|version| version >= 17);
    home.filter(fits).or_else(|| find("java").filter(fits)).ok_or(StackError::Missing("Java 17 or newer"))
}

/// `openjdk version "17.0.15" 2025-04-15`, on standard error.
fn java_version(file: &Path) -> Option<u32> {
    let output = std::process::Command::new(file).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr), "version \"")
}

fn major(text: &str, before: &str) -> Option<u32> {
    let (_, version) = text.split_once(before)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", "(PostgreSQL) "), Some(15));
        assert_eq!(major("Redis server v=7.0.15 sha=00000000:0", "v="), Some(7));
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15", "version \""), Some(17));
        assert_eq!(major("sh: not found", "v="), None);
    }
}
