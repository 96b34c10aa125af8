//! The ports and passwords of a stack: chosen at its first start, kept beside it, the same at every later one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::error::StackError;
use super::plan::Plan;
use crate::place;

/// Ports are taken from below those that the system lends to outgoing connections: a client that calls a server which is
/// down must never be lent that server's own port.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// Ports that are tried before it gives up.
const TRIES: usize = 1_000;

/// The ports and passwords of a stack. The file is readable by its owner alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Which servers it was made for.
    pub plan: Plan,
    /// Of PostgreSQL: the primary's, then the standbys'.
    pub postgres: Vec<u16>,
    /// Of Redis: each server's port, and its port for the others of its cluster.
    pub redis: Vec<(u16, u16)>,
    /// Of Kafka: each broker's port, and its controller's.
    pub kafka: Vec<(u16, u16)>,
    /// Kafka's cluster id: 16 random bytes in base64url.
    pub kafka_cluster: String,
    /// Of PostgreSQL's superuser, whom only the provider uses.
    pub admin_password: String,
    /// Of the role that standbys replicate as.
    pub replication_password: String,
    /// Of the role that the sale uses.
    pub postgres_password: String,
    /// Of Redis.
    pub redis_password: String,
}

impl Layout {
    /// The layout in a file; made now for this plan if there is none.
    ///
    /// # Errors
    /// The file system's; or the file was made for another plan.
    pub fn of(file: &Path, plan: &Plan) -> Result<Self, StackError> {
        if let Some(kept) = Self::kept(file)? {
            if kept.plan != *plan {
                return Err(StackError::OtherServers);
            }
            return Ok(kept);
        }
        let layout = Self::choose(plan).map_err(StackError::at(file))?;
        let text = serde_json::to_string_pretty(&layout).map_err(io::Error::other).map_err(StackError::at(file))?;
        place::write_secret(file, &text).map_err(|error| StackError::at(file)(io::Error::other(error.message)))?;
        Ok(layout)
    }

    /// The layout that a file holds, if there is one.
    ///
    /// # Errors
    /// The file system's, or it is not readable as one.
    pub fn kept(file: &Path) -> Result<Option<Self>, StackError> {
        match std::fs::read(file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other).map_err(StackError::at(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StackError::at(file)(error)),
        }
    }

    fn choose(plan: &Plan) -> io::Result<Self> {
        // All are held until the last is chosen, so that none is chosen twice.
        let mut held = Vec::new();
        let mut port = || -> io::Result<u16> {
            let listener = free()?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        let mut pair = || Ok((port()?, port()?));
        let redis = plan.redis.map_or(0, super::plan::Redis::servers);
        let kafka = plan.kafka.map_or(0, |kafka| kafka.brokers);
        let redis = (0..redis).map(|_| pair()).collect::<io::Result<_>>()?;
        let kafka = (0..kafka).map(|_| pair()).collect::<io::Result<_>>()?;
        let postgres = plan.postgres.map_or(0, |postgres| postgres.standbys + 1);
        Ok(Self {
            plan: plan.clone(),
            postgres: (0..postgres).map(|_| port()).collect::<io::Result<_>>()?,
            redis,
            kafka,
            kafka_cluster: cluster_id(),
            admin_password: password(),
            replication_password: password(),
            postgres_password: password(),
            redis_password: password(),
        })
    }
}

fn free() -> io::Result<TcpListener> {
    for _ in 0..TRIES {
        let port = rand::rng().random_range(PORTS);
        if let Ok(listener) = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            return Ok(listener);
        }
    }
    Err(io::Error::other(format!("no free port found between {} and {}", PORTS.start, PORTS.end)))
}

/// Letters and digits, so that a URL and a configuration file carry it as it is.
fn password() -> String {
    flashsale_engine::id::hex(&rand::random::<[u8; 16]>())
}

/// Kafka reads a leading `-` as an option.
fn cluster_id() -> String {
    use base64::Engine;
    loop {
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        if !id.starts_with('-') {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::plan::{Kafka, Postgres, Redis};

    #[test]
    fn a_layout_is_chosen_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stack.json");
        let postgres = Some(Postgres { standbys: 2, synchronous: true });
        let plan = Plan { postgres, redis: Some(Redis::Cluster), kafka: Some(Kafka { brokers: 3 }), scratch: true };
        let layout = Layout::of(&file, &plan).unwrap();
        assert_eq!((layout.postgres.len(), layout.redis.len(), layout.kafka.len()), (3, 6, 3));
        let pairs = layout.redis.iter().chain(&layout.kafka).flat_map(|pair| [pair.0, pair.1]);
        let ports: std::collections::HashSet<u16> = layout.postgres.iter().copied().chain(pairs).collect();
        assert_eq!(ports.len(), 3 + 12 + 6, "no port twice");
        assert_eq!(Layout::of(&file, &plan).unwrap(), layout);
        assert!(Layout::of(&file, &Plan::default()).is_err(), "another plan is refused");
    }
}
