//! The processes that serve a sale: what each does, and where it is found.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a process does for its sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything: gateways, writer, operator API.
    All,
    /// The writer, or a standby for it, and the operator API.
    Allocator,
    /// HTTP for shoppers; it keeps nothing.
    Gateway,
}

impl Role {
    /// Whether shoppers are served.
    #[must_use]
    pub const fn serves_shoppers(self) -> bool {
        matches!(self, Self::All | Self::Gateway)
    }

    /// Whether it writes, or stands by to write, and serves operators.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::All | Self::Allocator)
    }

    /// What such a process is called when it is given no name; its pid file and its log are named so.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "engine",
            Self::Allocator => "allocator-1",
            Self::Gateway => "gateway-1",
        }
    }
}

/// One process, as it says of itself while it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its process.
    pub pid: u32,
    /// Where shoppers are served.
    pub listen: Option<SocketAddr>,
    /// Where operators are served.
    pub operator: Option<SocketAddr>,
    /// Where a gateway without operators shows its gauges and hears of the gate, on loopback.
    pub inside: Option<SocketAddr>,
}
