//! Visits to the gateway processes of the sale: their gauges four times a second, and the gate as soon as it changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::changes::Gateways;
use crate::gateway::inside::{Ask, Shown, Turn};
use crate::ports::Gate;
use crate::sale::{Folder, Process};
use crate::telemetry::mirrors::Mirrors;

/// Between two visits.
const EVERY: Duration = Duration::from_millis(250);
/// How long a gateway may take to answer; one that does not is asked again with the next visit.
const WITHIN: Duration = Duration::from_millis(500);
/// The longest answer that is read, bytes.
const LONGEST: u64 = 1 << 20;

/// Who visits.
#[derive(Clone)]
pub struct Visits {
    /// Where the processes say that they are.
    pub folder: Folder,
    /// The operators' token.
    pub token: String,
    /// What is seen.
    pub mirrors: Arc<Mirrors>,
}

impl Visits {
    /// Visits until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            join_all(self.gateways().iter().map(|(process, inside)| self.see(process, *inside))).await;
            tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = stop.cancelled() => return }
        }
    }

    fn gateways(&self) -> Vec<(Process, SocketAddr)> {
        let all = self.folder.read_processes().into_iter();
        all.filter_map(|process| process.inside.map(|inside| (process, inside))).collect()
    }

    async fn see(&self, process: &Process, inside: SocketAddr) {
        match self.visit(inside, None).await {
            Some(shown) => self.mirrors.see(&process.name, process.pid, &shown),
            None => self.mirrors.miss(&process.name),
        }
    }

    async fn visit(&self, inside: SocketAddr, gate: Option<Turn>) -> Option<Shown> {
        let asked = async {
            let mut door = TcpStream::connect(inside).await.ok()?;
            let mut line = serde_json::to_vec(&Ask { token: self.token.clone(), gate }).ok()?;
            line.push(b'\n');
            door.write_all(&line).await.ok()?;
            let mut answer = String::new();
            BufReader::new(door.take(LONGEST)).read_line(&mut answer).await.ok()?;
            serde_json::from_str(&answer).ok()
        };
        tokio::time::timeout(WITHIN, asked).await.ok().flatten()
    }
}

#[async_trait]
impl Gateways for Visits {
    async fn set_gate(&self, gate: Option<&Gate>) -> (usize, usize) {
        let gateways = self.gateways();
        let turn = || gate.map_or(Turn::Open, |gate| Turn::Shut(gate.clone()));
        let told = gateways.iter().map(|(_, inside)| self.visit(*inside, Some(turn())));
        let heard = join_all(told).await.iter().filter(|shown| shown.is_some()).count();
        (heard, gateways.len())
    }
}
