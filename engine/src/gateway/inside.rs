//! A gateway process's side door on loopback, for the allocator processes of its sale: its gauges, and the gate. One JSON
//! line is asked, one is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::gate::GateFlag;
use super::gauges::GatewayGauges;
use crate::ports::Gate;

/// Visitors at once; beyond it one more is not let in.
const VISITORS: usize = 16;
/// The longest line that is read, bytes.
const LONGEST_LINE: u64 = 1 << 20;
/// How long a visit may take.
const WITHIN: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// The operators' token.
    pub token: String,
    /// The gate, when it is to change.
    pub gate: Option<Turn>,
}

/// What becomes of a gate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Nobody reserves.
    Shut(Gate),
    /// Everybody may again.
    Open,
}

/// Everything since the process began, over all its threads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Latencies of reads, writes and checkouts: histograms (V2) in base64; empty where there are none.
    pub latencies: [String; 3],
    /// Counters, in the order of [`GatewayGauges::counters`].
    pub counters: Vec<u64>,
    /// Open connections now.
    pub connections: u64,
}

/// The side door.
pub struct Inside {
    gauges: Vec<Arc<GatewayGauges>>,
    gate: Arc<GateFlag>,
    token: String,
    whole: Mutex<[Option<Histogram<u64>>; 3]>,
}

impl Inside {
    /// Of a process with these threads.
    #[must_use]
    pub fn new(gauges: Vec<Arc<GatewayGauges>>, gate: Arc<GateFlag>, token: String) -> Self {
        Self { gauges, gate, token, whole: Mutex::default() }
    }

    /// Answers until stopped.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let (inside, places) = (Arc::new(self), Arc::new(Semaphore::new(VISITORS)));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (Ok((visitor, _)), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned()) else { continue };
            let inside = Arc::clone(&inside);
            tokio::spawn(async move {
                // Who hangs up early or says nothing has missed only an answer.
                let _ = tokio::time::timeout(WITHIN, inside.visited(visitor)).await;
                drop(place);
            });
        }
    }

    async fn visited(&self, mut visitor: TcpStream) -> std::io::Result<()> {
        let (reading, mut writing) = visitor.split();
        let mut line = String::new();
        BufReader::new(reading.take(LONGEST_LINE)).read_line(&mut line).await?;
        let Ok(ask) = serde_json::from_str::<Ask>(&line) else { return Ok(()) };
        if !bool::from(ask.token.as_bytes().ct_eq(self.token.as_bytes())) {
            return Ok(());
        }
        match ask.gate {
            Some(Turn::Shut(gate)) => self.gate.set(Some(gate)),
            Some(Turn::Open) => self.gate.set(None),
            None => {}
        }
        let mut answer = serde_json::to_vec(&self.shown())?;
        answer.push(b'\n');
        writing.write_all(&answer).await
    }

    /// What it shows now.
    pub fn shown(&self) -> Shown {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        for gauges in &self.gauges {
            let taken = [gauges.reads.take(), gauges.writes.take(), gauges.checkouts.take()];
            for (whole, more) in whole.iter_mut().zip(taken) {
                match (whole.as_mut(), more) {
                    // Both have the same bounds, so that adding cannot fail.
                    (Some(whole), Some(more)) => _ = whole.add(more),
                    (None, more) => *whole = more,
                    (Some(_), None) => {}
                }
            }
        }
        let mut counters: Vec<u64> = Vec::new();
        for gauges in &self.gauges {
            let more = gauges.counters();
            counters.resize(more.len(), 0);
            counters.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        let connections = self.gauges.iter().map(|gauges| gauges.connections()).sum();
        let latencies = whole.each_ref().map(|whole| whole.as_ref().map(written).unwrap_or_default());
        Shown { latencies, counters, connections }
    }
}

fn written(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Into memory, within the format's bounds.
    let _ = V2Serializer::new().serialize(histogram, &mut bytes);
    STANDARD.encode(bytes)
}

/// A histogram as it was shown; none: malformed, or empty text.
#[must_use]
pub fn read(text: &str) -> Option<Histogram<u64>> {
    let bytes = STANDARD.decode(text).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}
