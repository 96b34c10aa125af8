//! A frame a second into a file: what reports and replays are made from, also when no terminal was open.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::collect::FRAMES_A_SECOND;
use crate::operator::wire::Frame;

/// The longest recording: two days at a frame a second of a few KiB. Beyond it nothing more is written.
const MOST_BYTES: u64 = 1 << 30;

/// Appends every fourth frame, with the notes of those between.
pub async fn run(path: PathBuf, mut frames: broadcast::Receiver<Arc<Frame>>, stop: CancellationToken) {
    let opened = OpenOptions::new().create(true).append(true).open(&path).await;
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return tracing::error!(%error, path = %path.display(), "nothing is recorded"),
    };
    let mut written = file.metadata().await.map_or(0, |about| about.len());
    let mut notes = Vec::new();
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            () = stop.cancelled() => return,
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        notes.extend(frame.notes.iter().cloned());
        if !frame.number.is_multiple_of(FRAMES_A_SECOND) || written >= MOST_BYTES {
            continue;
        }
        let whole = Frame { notes: std::mem::take(&mut notes), ..(*frame).clone() };
        let Ok(mut line) = serde_json::to_vec(&whole) else { continue };
        line.push(b'\n');
        written += line.len() as u64;
        if let Err(error) = file.write_all(&line).await {
            return tracing::error!(%error, "the recording ended");
        }
        let _ = file.flush().await;
    }
}
