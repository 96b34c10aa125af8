//! What a process is asked to be, and the addresses that it opens before anything else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::ServeError;
use super::files::{claim, in_use, write_whole};
use crate::allocator::gauges::Gauges;
use crate::gateway::bind;
use crate::gateway::connection::Limits;
use crate::sale::definition::Engine;
use crate::sale::{Addresses, Folder, Process, Role};

/// Numbers that the gateway threads of one process may take.
const THREADS: u32 = 64;

/// A process of a sale.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The sale's folder.
    pub folder: Folder,
    /// What it does.
    pub role: Role,
    /// What it is called; two of one name never serve together.
    pub name: String,
    /// Where shoppers are served, instead of the definition's address.
    pub listen: Option<SocketAddr>,
    /// Where operators are served, instead of the definition's address (a standby's: the port after it, and so on).
    pub operator_listen: Option<SocketAddr>,
    /// What connections get.
    pub limits: Limits,
}

impl Serving {
    /// A process that does everything.
    #[must_use]
    pub fn all(folder: Folder) -> Self {
        let (role, limits) = (Role::All, Limits::default());
        Self { folder, role, name: role.name().to_owned(), listen: None, operator_listen: None, limits }
    }

    /// The number at the end of its name, from 1.
    fn number(&self) -> u16 {
        let digits = self.name.rsplit('-').next().unwrap_or_default();
        digits.parse().unwrap_or(1).max(1)
    }

    /// The number of its first gateway thread: threads of different processes have different ones.
    pub(super) fn first_gateway(&self) -> u32 {
        (u32::from(self.number()) - 1) * THREADS
    }

    fn operators(&self, engine: &Engine) -> SocketAddr {
        let mut address = self.operator_listen.unwrap_or(engine.operator_listen);
        if self.operator_listen.is_none() && address.port() != 0 {
            address.set_port(address.port().saturating_add(self.number() - 1));
        }
        address
    }
}

/// Open addresses.
pub(super) struct Doors {
    pub(super) shoppers: Option<std::net::TcpListener>,
    pub(super) operators: Option<tokio::net::TcpListener>,
    pub(super) inside: Option<tokio::net::TcpListener>,
}

impl Doors {
    pub(super) async fn open(serving: &Serving, engine: &Engine) -> Result<Self, ServeError> {
        let mut doors = Self { shoppers: None, operators: None, inside: None };
        if serving.role.serves_shoppers() {
            let address = serving.listen.unwrap_or(engine.listen);
            // Gateway processes of one sale may share an address.
            let shared = serving.folder.read_processes().iter().any(|other| other.listen == Some(address));
            let bound = if shared { bind(address).map_err(|error| in_use(address, error)) } else { claim(address) };
            doors.shoppers = Some(bound?);
        }
        if serving.role.writes() {
            let address = serving.operators(engine);
            let listener = tokio::net::TcpListener::bind(address).await;
            doors.operators = Some(listener.map_err(|error| in_use(address, error))?);
        } else {
            doors.inside = Some(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        }
        Ok(doors)
    }

    pub(super) fn process(&self, serving: &Serving) -> io::Result<Process> {
        Ok(Process {
            name: serving.name.clone(),
            role: serving.role,
            pid: std::process::id(),
            listen: self.shoppers.as_ref().map(std::net::TcpListener::local_addr).transpose()?,
            operator: self.operators.as_ref().map(tokio::net::TcpListener::local_addr).transpose()?,
            inside: self.inside.as_ref().map(tokio::net::TcpListener::local_addr).transpose()?,
        })
    }
}

/// What the process says of itself in the sale's folder, as long as it lives.
pub(super) struct Said {
    folder: Folder,
    process: Process,
    file: PathBuf,
    fallback: SocketAddr,
}

impl Said {
    pub(super) fn say(folder: &Folder, process: &Process, engine: &Engine) -> io::Result<Self> {
        std::fs::create_dir_all(folder.processes())?;
        let file = folder.processes().join(format!("{}.json", process.name));
        write_whole(&file, &serde_json::to_vec(process).map_err(io::Error::other)?)?;
        let said = Self { folder: folder.clone(), process: process.clone(), file, fallback: engine.listen };
        if process.role == Role::All {
            said.lead()?;
        }
        Ok(said)
    }

    /// Whoever has the writer is whom operators are sent to.
    pub(super) async fn lead_once(&self, gauges: &Gauges) {
        gauges.leading().await;
        if let Err(error) = self.lead() {
            tracing::error!(%error, "operators are not sent here");
        }
        std::future::pending::<()>().await;
    }

    fn lead(&self) -> io::Result<()> {
        let Some(operator) = self.process.operator else { return Ok(()) };
        let listen = self.process.listen.unwrap_or_else(|| {
            let others = self.folder.read_processes();
            others.iter().find_map(|process| process.listen).unwrap_or(self.fallback)
        });
        let addresses = Addresses { listen, operator, pid: self.process.pid };
        write_whole(&self.folder.addresses(), &serde_json::to_vec(&addresses).map_err(io::Error::other)?)
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        let read = || serde_json::from_slice::<Addresses>(&std::fs::read(self.folder.addresses()).ok()?).ok();
        if read().is_some_and(|addresses| addresses.pid == self.process.pid) {
            let _ = std::fs::remove_file(self.folder.addresses());
        }
    }
}
