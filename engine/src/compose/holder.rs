//! Who listens on an address, as far as the system tells: by `/proc` on Linux.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Who has it, for a sentence that begins "... is in use".
#[must_use]
pub fn holder(address: SocketAddr) -> String {
    let Some(inodes) = sockets(address) else { return "by whom, this system does not say".to_owned() };
    if inodes.is_empty() {
        return "by nobody who listens: it may be free again in a moment".to_owned();
    }
    let found = processes().find(|(_, folder)| holds(folder, &inodes));
    match found {
        Some((pid, folder)) => format!("by process {pid} ({})", command(&folder)),
        None => "by a process of another user (its name needs more rights: sudo ss -ltnp)".to_owned(),
    }
}

/// The inodes of the sockets that listen there; none where there is no `/proc`.
fn sockets(address: SocketAddr) -> Option<Vec<String>> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let table6 = std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let lines = table.lines().skip(1).chain(table6.lines().skip(1));
    Some(lines.filter_map(|line| listener(line, address)).collect())
}

/// `  0: 0100007F:1F90 00000000:0000 0A ... inode ...`
fn listener(line: &str, address: SocketAddr) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (*fields.get(1)?, *fields.get(3)?, *fields.get(9)?);
    let (host, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16).is_ok_and(|port| port == address.port());
    let host = host_of(host)?;
    (state == LISTENS && same_port && (host == address.ip() || host.is_unspecified() || address.ip().is_unspecified()))
        .then(|| inode.to_owned())
}

/// Words of 32 bits, each in the machine's own order.
fn host_of(text: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..text.len() / 8)
        .map(|word| u32::from_str_radix(text.get(word * 8..word * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn processes() -> impl Iterator<Item = (u32, std::path::PathBuf)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .any(|inode| inodes.contains(&inode))
}

/// Its command line, cut to what a sentence can carry.
fn command(process: &Path) -> String {
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let text: String = words.join(" ").trim().chars().filter(|letter| !letter.is_control()).take(80).collect();
    if text.is_empty() { "no command line".to_owned() } else { text }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(socket) = std::net::TcpListener::bind(address) else { continue };
            let port = socket.local_addr().unwrap().port();
            let asked = SocketAddr::new(socket.local_addr().unwrap().ip(), port);
            let told = holder(asked);
            assert!(told.contains(&format!("by process {} (", std::process::id())), "{address}: {told}");
        }
    }

    #[test]
    fn nobody_is_accused_of_a_free_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(holder(free).contains("nobody"), "{}", holder(free));
    }
}
