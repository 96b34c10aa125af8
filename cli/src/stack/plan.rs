//! Which servers a stack has.

use flashsale_engine::sale::stack::{Provider, Stack};
use serde::{Deserialize, Serialize};

/// Which servers a stack has; none of a kind where it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// PostgreSQL.
    pub postgres: Option<Postgres>,
    /// Redis or Valkey.
    pub redis: Option<Redis>,
    /// Kafka.
    pub kafka: Option<Kafka>,
    /// The data is thrown away with the folder: making it is not synced to the disk. Tests say so, no sale does.
    pub scratch: bool,
}

/// PostgreSQL servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// Streaming standbys beside the primary.
    pub standbys: u16,
    /// Commits wait for any one of them.
    pub synchronous: bool,
}

/// Redis servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redis {
    /// One.
    Single,
    /// Three masters, each with a replica.
    Cluster,
}

impl Redis {
    /// How many servers that is.
    #[must_use]
    pub const fn servers(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Cluster => 6,
        }
    }
}

/// Kafka servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kafka {
    /// One, or three; each is a controller too.
    pub brokers: u16,
}

impl Kafka {
    /// The copies of each record that must be there before it is acknowledged.
    #[must_use]
    pub const fn min_insync_replicas(self) -> u16 {
        if self.brokers > 1 { self.brokers - 1 } else { 1 }
    }
}

impl Plan {
    /// The servers that a sale's definition asks this machine for; none with another provider.
    #[must_use]
    pub fn of(stack: &Stack) -> Option<Self> {
        let asked = &stack.process;
        let redis = if asked.redis_cluster { Redis::Cluster } else { Redis::Single };
        (stack.provider == Provider::Process).then_some(Self {
            postgres: Some(Postgres { standbys: asked.standbys, synchronous: asked.synchronous }),
            redis: Some(redis),
            kafka: Some(Kafka { brokers: asked.brokers }),
            scratch: false,
        })
    }
}
