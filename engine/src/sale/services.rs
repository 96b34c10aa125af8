//! Where a stack's servers are, and the names that a sale has in them. A provider writes the addresses; the engine and
//! the tools read them. Nothing after that knows which provider it was.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Frozen;

/// The addresses of the three stores. They carry passwords: the file is readable by its owner alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// `postgres://user:password@host:port/database`, one a server, in no order: whoever writes finds the primary.
    pub postgres: Vec<String>,
    /// `redis://` or `rediss://`, one for a single server, several for a cluster.
    pub redis: Vec<String>,
    /// Kafka's bootstrap servers, `host:port`.
    pub kafka: Vec<String>,
    /// Further settings of the Kafka client, by librdkafka's names: security, credentials.
    pub kafka_client: std::collections::BTreeMap<String, String>,
}

impl Services {
    /// Reads what a provider wrote.
    ///
    /// # Errors
    /// When there is none, or it is not readable as one.
    pub fn read(path: &Path) -> io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::other)
    }

    /// Writes it: beside, closed to others, then renamed.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        std::fs::write(&beside, "")?;
        std::fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        std::fs::write(&beside, serde_json::to_vec_pretty(self).map_err(io::Error::other)?)?;
        std::fs::rename(beside, path)
    }
}

/// The PostgreSQL role of the reconciler: reads the runs' tables and can do nothing else. It has no login: the sales' own
/// role steps into it.
pub const RECONCILER: &str = "flashsale_reconciler";

/// The names of one run of one sale in shared stores: a run never meets another's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    sale: String,
    run: Uuid,
}

/// The longest part of a sale's name in a PostgreSQL schema, whose names have at most 63 bytes.
const SCHEMA_PART: usize = 20;

impl Names {
    /// Of a frozen sale.
    #[must_use]
    pub fn of(frozen: &Frozen) -> Self {
        Self::new(&frozen.definition.sale, frozen.run)
    }

    /// Of a sale and a run.
    #[must_use]
    pub fn new(sale: &str, run: Uuid) -> Self {
        Self { sale: sale.to_owned(), run }
    }

    /// The commands topic of a generation of the log: one partition. A further generation has a topic of its own.
    #[must_use]
    pub fn commands(&self, generation: u32) -> String {
        match generation {
            0 => self.topic("commands"),
            later => self.topic(&format!("commands-{later}")),
        }
    }

    /// The decisions topic: one partition.
    #[must_use]
    pub fn decisions(&self) -> String {
        self.topic("decisions")
    }

    /// The events topic: `CloudEvents`, one message each.
    #[must_use]
    pub fn events(&self) -> String {
        self.topic("events")
    }

    fn topic(&self, what: &str) -> String {
        format!("flashsale.{}.{}.{what}", self.sale, self.run)
    }

    /// The PostgreSQL schema: lower case letters, digits and `_`, so that it needs no quotes.
    #[must_use]
    pub fn schema(&self) -> String {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }
        };
        let sale: String = self.sale.chars().take(SCHEMA_PART).map(plain).collect();
        format!("fs_{sale}_{}", self.run.simple())
    }

    /// A number for advisory locks of this run.
    #[must_use]
    pub fn advisory_lock(&self) -> i64 {
        let (high, low) = self.run.as_u64_pair();
        (high ^ low).cast_signed()
    }

    /// The Redis key of an item's stock; the SKU is the hash tag, so that an item's keys share a cluster's slot.
    #[must_use]
    pub fn stock_key(&self, sku: &str) -> String {
        format!("{}:stock:{{{sku}}}", self.prefix())
    }

    /// The Redis key of a reservation, beside its item's stock.
    #[must_use]
    pub fn reservation_key(&self, sku: &str, id: &str) -> String {
        format!("{}{{{sku}}}:{id}", self.reservations_prefix())
    }

    /// What the Redis keys of all reservations begin with.
    #[must_use]
    pub fn reservations_prefix(&self) -> String {
        format!("{}:reservation:", self.prefix())
    }

    /// The Redis key of an item's product data, beside its stock.
    #[must_use]
    pub fn product_key(&self, sku: &str) -> String {
        format!("{}:product:{{{sku}}}", self.prefix())
    }

    /// What every Redis key of the run begins with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("flashsale:{}:{}", self.sale, self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit_every_store() {
        let names = Names::new(&"A.b-".repeat(16)[..63], Uuid::from_u128(7));
        assert!(names.schema().len() <= 63, "{}", names.schema());
        assert!(names.schema().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(names.commands(u32::MAX).len() <= 249, "a Kafka topic's name");
        assert_ne!(names.commands(0), names.commands(1));
    }
}
