//! Snapshots as files beside the ledger: megabytes in its own file would make commits wait for them.
//!
//! A file's name is what it holds: generation, next offset and digest. It gets that name when all of it is on the disk;
//! what a crash left is another name's, and is cleared away. A reader trusts no file: the state's digest must be the name's.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::ports::Snapshot;

/// Snapshots kept.
const KEPT: usize = 3;
/// Bytes that are brought to the disk at once, so that the log's own syncs never wait for long behind them.
const PIECE: usize = 1 << 20;
const ENDING: &str = "snapshot";

/// The snapshots of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Snapshots(PathBuf);

/// What a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    generation: u32,
    next_offset: u64,
    digest: u64,
}

impl Snapshots {
    /// Those beside a ledger.
    pub(super) fn beside(ledger: &Path) -> Self {
        Self(ledger.with_extension("snapshots"))
    }

    /// Keeps one, and of all the newest [`KEPT`]. Waits for the disk.
    pub(super) fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let unfinished = self.0.join("unfinished");
        let mut file = File::create(&unfinished)?;
        for piece in snapshot.state.chunks(PIECE) {
            file.write_all(piece)?;
            file.sync_data()?;
        }
        let Snapshot { generation, next_offset, digest, .. } = *snapshot;
        fs::rename(&unfinished, self.path(Name { generation, next_offset, digest }))?;
        let mut names = self.names()?;
        names.sort_unstable();
        for old in names.iter().rev().skip(KEPT) {
            fs::remove_file(self.path(*old))?;
        }
        Ok(())
    }

    /// The newest of a generation at or below an offset.
    pub(super) fn newest(&self, generation: u32, next_offset: u64) -> io::Result<Option<Snapshot>> {
        let fits = |name: &Name| name.generation == generation && name.next_offset <= next_offset;
        let Some(name) = self.names()?.into_iter().filter(fits).max() else { return Ok(None) };
        let state = fs::read(self.path(name))?;
        Ok(Some(Snapshot { generation, next_offset: name.next_offset, digest: name.digest, state: state.into() }))
    }

    fn names(&self) -> io::Result<Vec<Name>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().to_str().and_then(Name::read));
        }
        Ok(names)
    }

    fn path(&self, name: Name) -> PathBuf {
        let Name { generation, next_offset, digest } = name;
        self.0.join(format!("{generation}-{next_offset}-{digest:016x}.{ENDING}"))
    }
}

impl Name {
    fn read(file: &str) -> Option<Self> {
        let mut words = file.strip_suffix(ENDING)?.strip_suffix('.')?.split('-');
        let (generation, next_offset, digest) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            generation: generation.parse().ok()?,
            next_offset: next_offset.parse().ok()?,
            digest: u64::from_str_radix(digest, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(generation: u32, next_offset: u64) -> Snapshot {
        Snapshot { generation, next_offset, digest: u64::MAX - next_offset, state: vec![7; PIECE + 1].into() }
    }

    #[test]
    fn the_newest_three_are_kept_and_found_by_generation_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::beside(&folder.path().join("ledger.db"));
        assert_eq!(snapshots.newest(0, 100).unwrap(), None);
        for (generation, next_offset) in [(0, 5), (0, 90), (0, 100), (1, 2)] {
            snapshots.save(&snapshot(generation, next_offset)).unwrap();
        }
        let rows = [(0, 200, Some(100)), (0, 99, Some(90)), (0, 89, None), (1, 200, Some(2)), (1, 1, None)];
        for (generation, at, found) in rows {
            let expected = found.map(|next_offset| snapshot(generation, next_offset));
            assert_eq!(snapshots.newest(generation, at).unwrap(), expected, "{generation} {at}");
        }
    }

    #[test]
    fn what_a_crash_left_is_no_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::beside(&folder.path().join("ledger.db"));
        snapshots.save(&snapshot(0, 5)).unwrap();
        fs::write(snapshots.0.join("unfinished"), "half").unwrap();
        fs::write(snapshots.0.join("notes.txt"), "0-9-0").unwrap();
        assert_eq!(snapshots.newest(0, 100).unwrap(), Some(snapshot(0, 5)));
    }
}
