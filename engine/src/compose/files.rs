//! A process's lock, and files that others read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::ServeError;
use super::holder::holder;
use crate::gateway::bind;
use crate::sale::{Folder, Role};

/// One process a name: the pid file stays locked while it lives.
pub(super) fn lock(folder: &Folder, name: &str) -> Result<File, ServeError> {
    let mut file = File::options().create(true).truncate(false).write(true).open(folder.pid(name))?;
    file.try_lock().map_err(|_| ServeError::AlreadyServed)?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// All of a sale's processes at once: none of them serves while these are held.
pub(super) fn lock_all(folder: &Folder) -> Result<Vec<File>, ServeError> {
    let others = folder.read_processes().into_iter().map(|process| process.name);
    let names: BTreeSet<String> = others.chain([Role::All.name().to_owned()]).collect();
    names.iter().map(|name| lock(folder, name)).collect()
}

pub(super) fn in_use(address: SocketAddr, error: io::Error) -> ServeError {
    if error.kind() != io::ErrorKind::AddrInUse {
        return error.into();
    }
    ServeError::AddressInUse(address, holder(address))
}

/// A gateway's socket. Gateways of one engine share an address; another program that shares its own the same way would
/// get half of this sale's shoppers, so the address is asked for alone first.
pub(super) fn claim(address: SocketAddr) -> Result<std::net::TcpListener, ServeError> {
    if address.port() != 0 {
        drop(std::net::TcpListener::bind(address).map_err(|error| in_use(address, error))?);
    }
    bind(address).map_err(|error| in_use(address, error))
}

/// Written beside and renamed: a reader sees all of it or nothing.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(beside, path)
}
