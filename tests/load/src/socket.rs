//! A websocket as its client sees it, with as little work as possible.
//!
//! No library: the thousand clients of a measurement share one core, and what they do must not hide what the server does. Frames are looked at
//! where the kernel wrote them; what is sent is masked with zeros, which leaves it as it is.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// How much is read from a socket at once.
const CHUNK: usize = 256 << 10;

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One connection.
pub(crate) struct Socket {
    stream: Rc<TcpStream>,
    /// A frame that has not arrived as a whole.
    begun: Vec<u8>,
    /// What could not be sent at once.
    unsent: Vec<u8>,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
}

/// Where all sockets read to, one after the other.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(vec![0; CHUNK])
    }
}

impl Socket {
    /// Connects to `path`, with a receive buffer of the system's choice or of about this size.
    pub(crate) async fn connect(address: SocketAddr, path: &str, buffer: Option<u32>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer)?;
        }
        let mut stream = socket.connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut begun = Vec::new();
        let end = loop {
            if let Some(end) = memchr::memmem::find(&begun, b"\r\n\r\n") {
                break end + 4;
            }
            stream.readable().await?;
            match stream.try_read_buf(&mut begun) {
                Ok(0) => bail!("closed during the handshake"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        };
        ensure!(begun.starts_with(b"HTTP/1.1 101 "), "refused: {}", String::from_utf8_lossy(&begun[..end]));
        begun.drain(..end);
        // What follows is counted as received, what was said so far is not.
        let bytes_received = begun.len() as u64;
        Ok(Self { stream: Rc::new(stream), begun, unsent: Vec::new(), bytes_received, bytes_sent: 0 })
    }

    /// Adds a message to what is sent with the next [`Self::flush`].
    pub(crate) fn add(&mut self, message: &[u8]) {
        self.queue(BINARY, message);
    }

    fn queue(&mut self, opcode: u8, message: &[u8]) {
        let before = self.unsent.len();
        self.unsent.push(0x80 | opcode);
        match message.len() {
            len @ 0..126 => self.unsent.push(0x80 | len as u8),
            len @ 126..0x1_0000 => {
                self.unsent.push(0x80 | 126);
                self.unsent.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                self.unsent.push(0x80 | 127);
                self.unsent.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        self.unsent.extend_from_slice(&[0; 4]);
        self.unsent.extend_from_slice(message);
        self.bytes_sent += (self.unsent.len() - before) as u64;
    }

    /// Sends what the system takes of what waits.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The stream, to wait for while others use the socket.
    pub(crate) fn stream(&self) -> Rc<TcpStream> {
        Rc::clone(&self.stream)
    }

    /// Waits until something arrived, or something that waits can be sent.
    pub(crate) async fn ready(&self) -> Result<()> {
        let interest = match self.unsent.is_empty() {
            true => tokio::io::Interest::READABLE,
            false => tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE,
        };
        self.stream.ready(interest).await?;
        Ok(())
    }

    /// Looks at every message that has arrived; says whether the connection is still open.
    pub(crate) fn read(&mut self, scratch: &mut Scratch, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        self.flush()?;
        // After the handshake something may have been read already.
        if !self.begun.is_empty() {
            let begun = std::mem::take(&mut self.begun);
            let used = self.frames(&begun, &mut each)?;
            self.begun = begun[used..].to_vec();
        }
        loop {
            let read = match self.stream.try_read(&mut scratch.0) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            self.bytes_received += read as u64;
            if self.begun.is_empty() {
                let used = self.frames(&scratch.0[..read], &mut each)?;
                self.begun.extend_from_slice(&scratch.0[used..read]);
            } else {
                let mut begun = std::mem::take(&mut self.begun);
                begun.extend_from_slice(&scratch.0[..read]);
                let used = self.frames(&begun, &mut each)?;
                begun.drain(..used);
                self.begun = begun;
            }
            if read < scratch.0.len() {
                return Ok(true);
            }
        }
    }

    /// Takes whole frames from the front; gives how many bytes they were.
    fn frames(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<usize> {
        let mut used = 0;
        while let Some((opcode, header, len)) = frame(&bytes[used..])? {
            let Some(message) = bytes.get(used + header..used + header + len) else { break };
            used += header + len;
            match opcode {
                BINARY => each(message)?,
                PING => {
                    self.queue(PONG, message);
                    self.flush()?;
                }
                PONG => {}
                CLOSE => bail!("the server closed the connection: {}", String::from_utf8_lossy(message)),
                other => bail!("a frame of kind {other}"),
            }
        }
        Ok(used)
    }
}

/// The head of a frame, if it is there: its kind, its own length, and the message's.
fn frame(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    ensure!(first & 0x80 != 0 && second & 0x80 == 0, "a frame in pieces, or masked");
    let (header, len) = match second {
        126 => match rest.first_chunk() {
            Some(len) => (4, usize::from(u16::from_be_bytes(*len))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(len) => (10, usize::try_from(u64::from_be_bytes(*len))?),
            None => return Ok(None),
        },
        len => (2, usize::from(*len)),
    };
    Ok(Some((first & 0x0f, header, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_frames_of_every_length_are_read() {
        assert_eq!(frame(&[0x82, 5]).unwrap(), Some((BINARY, 2, 5)));
        assert_eq!(frame(&[0x82, 126, 1, 0]).unwrap(), Some((BINARY, 4, 256)));
        assert_eq!(frame(&[0x89, 127, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap(), Some((PING, 10, 1 << 16)));
        for begun in [&[][..], &[0x82], &[0x82, 126, 1], &[0x82, 127, 0, 0, 0, 0, 0, 1, 0]] {
            assert_eq!(frame(begun).unwrap(), None);
        }
        assert!(frame(&[0x02, 1]).is_err() && frame(&[0x82, 0x81]).is_err());
    }
}
