//! Events as JSON lines in a file: synced before they count as published.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::Mutex;

use crate::ports::{Events, EventsError};

/// A file of CloudEvents, one a line.
pub struct EventFile(Mutex<File>);

impl EventFile {
    /// Opens (or makes) the file. A last line that was torn by a crash is ended, so that the next event begins anew.
    ///
    /// # Errors
    /// The file system's.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).await?;
        let length = file.seek(io::SeekFrom::End(0)).await?;
        if length > 0 {
            file.seek(io::SeekFrom::End(-1)).await?;
            if file.read_u8().await? != b'\n' {
                file.write_all(b"\n").await?;
            }
        }
        Ok(Self(Mutex::new(file)))
    }
}

#[async_trait]
impl Events for EventFile {
    async fn publish(&self, events: &[Bytes]) -> Result<(), EventsError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            lines.extend_from_slice(event);
            lines.push(b'\n');
        }
        let mut file = self.0.lock().await;
        let written = async {
            file.write_all(&lines).await?;
            file.flush().await?;
            file.sync_data().await
        };
        written.await.map_err(|error| EventsError(error.to_string()))
    }
}
