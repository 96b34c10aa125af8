//! A socket that costs little: prebuilt bytes out, answers parsed in place.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Requests that may wait for one socket.
pub const QUEUED: usize = 4_096;
/// Pause before a broken socket is made again.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest head of an answer that is understood, header lines.
const HEADERS: usize = 32;

/// A request with what is to be remembered until its answer.
#[derive(Debug)]
pub struct Sent<T> {
    /// The bytes of the request.
    pub bytes: Vec<u8>,
    /// What it is.
    pub about: T,
}

/// What came back.
#[derive(Debug)]
pub enum Came<T> {
    /// An answer: status and body.
    Answer(T, u16, Vec<u8>),
    /// The socket broke first.
    Broken(T),
}

/// Keeps one socket open and everything in order, until `requests` is closed and all is answered.
pub async fn socket<T>(
    address: SocketAddr,
    connect_in: Duration,
    mut requests: mpsc::Receiver<Sent<T>>,
    answers: mpsc::Sender<Came<T>>,
) {
    tokio::time::sleep(connect_in).await;
    // Connected before the first request is due: a storm of handshakes is not what is measured.
    let mut ready = TcpStream::connect(address).await.ok();
    loop {
        let Some(first) = requests.recv().await else { return };
        let connected = match ready.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(address).await,
        };
        let stream = match connected {
            Ok(stream) => stream,
            Err(_) => {
                tokio::time::sleep(AGAIN).await;
                if answers.send(Came::Broken(first.about)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let mut pending = VecDeque::new();
        let open = converse(stream, first, &mut requests, &mut pending, &answers).await;
        for about in pending {
            if answers.send(Came::Broken(about)).await.is_err() {
                return;
            }
        }
        if !open {
            return;
        }
    }
}

/// Until the socket breaks (true) or there is nothing more to send (false).
async fn converse<T>(
    mut stream: TcpStream,
    first: Sent<T>,
    requests: &mut mpsc::Receiver<Sent<T>>,
    pending: &mut VecDeque<T>,
    answers: &mpsc::Sender<Came<T>>,
) -> bool {
    let (mut reading, mut writing) = stream.split();
    let mut out = first.bytes;
    pending.push_back(first.about);
    let mut buffer = BytesMut::with_capacity(16 << 10);
    let mut open = true;
    loop {
        if !out.is_empty() {
            if writing.write_all(&out).await.is_err() {
                return true;
            }
            out.clear();
        }
        if !open && pending.is_empty() {
            return false;
        }
        tokio::select! {
            read = reading.read_buf(&mut buffer) => {
                if !matches!(read, Ok(count) if count > 0) {
                    return true;
                }
                while let Some((status, body)) = parse(&mut buffer) {
                    let Some(about) = pending.pop_front() else { return true };
                    if answers.send(Came::Answer(about, status, body)).await.is_err() {
                        return false;
                    }
                }
            }
            sent = requests.recv(), if open => match sent {
                None => open = false,
                Some(sent) => {
                    out = sent.bytes;
                    pending.push_back(sent.about);
                    while let Ok(more) = requests.try_recv() {
                        out.extend_from_slice(&more.bytes);
                        pending.push_back(more.about);
                    }
                }
            },
        }
    }
}

/// One whole answer off the front of the buffer. None: not all of it is there yet.
fn parse(buffer: &mut BytesMut) -> Option<(u16, Vec<u8>)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = answer.parse(buffer) else { return None };
    let status = answer.code.unwrap_or_default();
    let length = answer
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok())
        .unwrap_or(0);
    if buffer.len() < head + length {
        return None;
    }
    let body = buffer[head..head + length].to_vec();
    buffer.advance(head + length);
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_however_they_are_cut() {
        let whole =
            b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n";
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::new();
            let mut found = Vec::new();
            for part in [&whole[..cut], &whole[cut..]] {
                buffer.extend_from_slice(part);
                while let Some(answer) = parse(&mut buffer) {
                    found.push(answer);
                }
            }
            assert_eq!(found, [(201, b"{}".to_vec()), (304, Vec::new())], "cut at {cut}");
        }
    }
}
