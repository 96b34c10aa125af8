//! A socket that costs little: requests of one step leave with one write, answers are parsed in place, and nothing is
//! allocated for a request but what somebody wants to remember of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Requests that may wait for their answers on one socket.
const MOST_PENDING: usize = 4_096;
/// Bytes that may wait to leave on one socket.
const MOST_UNSENT: usize = 1 << 20;
/// Bytes that are read at once.
const READ: usize = 16 << 10;
/// Pause before a broken socket is made again.
const AGAIN: Duration = Duration::from_millis(100);

/// What came back.
#[derive(Debug)]
pub enum Came<T> {
    /// An answer: status, body (of good ones only) and when it was read.
    Answer(T, u16, Vec<u8>, Instant),
    /// The socket broke first.
    Broken(T),
}

/// Answers of all sockets, in the order they came; never more than requests that are on their way.
pub type Answers<T> = Rc<RefCell<Vec<Came<T>>>>;

/// One socket, open or not.
pub struct Socket<T> {
    inner: RefCell<Inner<T>>,
    wanted: Notify,
}

struct Inner<T> {
    stream: Option<Rc<TcpStream>>,
    unsent: Vec<u8>,
    pending: VecDeque<T>,
}

impl<T: 'static> Socket<T> {
    /// Opens one after a while, and again whenever it broke and something is to be sent. Runs on a local task set.
    pub fn open(address: SocketAddr, connect_in: Duration, answers: Answers<T>) -> Rc<Self> {
        let inner = Inner { stream: None, unsent: Vec::new(), pending: VecDeque::new() };
        let socket = Rc::new(Self { inner: RefCell::new(inner), wanted: Notify::new() });
        tokio::task::spawn_local(Rc::clone(&socket).keep(address, connect_in, answers));
        socket
    }

    /// Puts a request into the next write. False: the socket is full.
    pub fn put(&self, about: &mut Option<T>, write: impl FnOnce(&T, &mut Vec<u8>)) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        if inner.pending.len() >= MOST_PENDING || inner.unsent.len() >= MOST_UNSENT {
            return false;
        }
        if let Some(about) = about.take() {
            write(&about, &mut inner.unsent);
            inner.pending.push_back(about);
        }
        if inner.stream.is_none() {
            self.wanted.notify_one();
        }
        true
    }

    /// Writes what the system takes. False: something is left.
    pub fn flush(&self) -> bool {
        let Inner { stream, unsent, .. } = &mut *self.inner.borrow_mut();
        // A socket that is being opened sends by itself what waits.
        let Some(stream) = stream else { return true };
        while !unsent.is_empty() {
            match stream.try_write(unsent) {
                Ok(count) if count == unsent.len() => unsent.clear(),
                Ok(count) => drop(unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The reading side finds it broken too, and says so.
                Err(_) => unsent.clear(),
            }
        }
        true
    }

    async fn keep(self: Rc<Self>, address: SocketAddr, connect_in: Duration, answers: Answers<T>) {
        tokio::time::sleep(connect_in).await;
        // Connected before the first request is due: a storm of handshakes is not what is measured.
        let mut ready = TcpStream::connect(address).await.ok();
        loop {
            let connected = match ready.take() {
                Some(stream) => Ok(stream),
                None => {
                    while self.inner.borrow().pending.is_empty() {
                        self.wanted.notified().await;
                    }
                    TcpStream::connect(address).await
                }
            };
            match connected {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    let stream = Rc::new(stream);
                    self.inner.borrow_mut().stream = Some(Rc::clone(&stream));
                    self.flush();
                    self.read(&stream, &answers).await;
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
            let inner = &mut *self.inner.borrow_mut();
            inner.stream = None;
            inner.unsent.clear();
            answers.borrow_mut().extend(inner.pending.drain(..).map(Came::Broken));
        }
    }

    /// Until the socket breaks.
    async fn read(&self, stream: &TcpStream, answers: &Answers<T>) {
        let mut buffer = BytesMut::with_capacity(READ);
        loop {
            if stream.readable().await.is_err() {
                return;
            }
            buffer.reserve(READ);
            match stream.try_read_buf(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            let now = Instant::now();
            let (inner, answers) = (&mut *self.inner.borrow_mut(), &mut *answers.borrow_mut());
            loop {
                match parse(&mut buffer) {
                    Parsed::Answer(status, body) => {
                        let Some(about) = inner.pending.pop_front() else { return };
                        answers.push(Came::Answer(about, status, body, now));
                    }
                    Parsed::Part => break,
                    Parsed::Nonsense => return,
                }
            }
        }
    }
}

/// What stands at the front of a buffer.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// A whole answer, taken off: status, and the body of a good one.
    Answer(u16, Vec<u8>),
    /// Not all of it is there yet.
    Part,
    /// No answer.
    Nonsense,
}

/// Looks at the status and the length only: an engine's answers are well formed, which other tests hold.
fn parse(buffer: &mut BytesMut) -> Parsed {
    let Some(head) = head_length(buffer) else { return Parsed::Part };
    let digits = buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let Some(status) = digits.and_then(|digits| digits.parse().ok()) else { return Parsed::Nonsense };
    let length = content_length(&buffer[..head]);
    if buffer.len() < head + length {
        return Parsed::Part;
    }
    // Nobody reads why something was refused.
    let body = if status < 300 { buffer[head..head + length].to_vec() } else { Vec::new() };
    buffer.advance(head + length);
    Parsed::Answer(status, body)
}

/// Where the empty line ends.
fn head_length(buffer: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + buffer.get(from..)?.iter().position(|byte| *byte == b'\r')?;
        if buffer.get(end..end + 4)? == b"\r\n\r\n" {
            return Some(end + 4);
        }
        from = end + 1;
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let line = head.split(|byte| *byte == b'\n').find(|line| {
        line.first().is_some_and(|byte| byte | 0x20 == b'c')
            && line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    });
    let digits = line.map_or(&[][..], |line| &line[NAME.len()..]).iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |length: usize, digit| length.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_however_they_are_cut() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n\
            HTTP/1.1 409 Conflict\r\ncache-control: no-store\r\ncontent-length: 12\r\ndate: now\r\n\r\n{\"code\":\"x\"}";
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::new();
            let mut found = Vec::new();
            for part in [&whole[..cut], &whole[cut..]] {
                buffer.extend_from_slice(part);
                while let Parsed::Answer(status, body) = parse(&mut buffer) {
                    found.push((status, body));
                }
            }
            assert_eq!(found, [(201, b"{}".to_vec()), (304, Vec::new()), (409, Vec::new())], "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn what_is_no_answer_breaks_the_socket() {
        assert_eq!(parse(&mut BytesMut::from(&b"SSH-2.0-whatever\r\n\r\n"[..])), Parsed::Nonsense);
    }
}
