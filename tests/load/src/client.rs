//! A client on a socket.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use crate::host::Kind;
use crate::protocol::{Out, Role, Talk};
use crate::socket::{Scratch, Socket};

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Who is connected to what.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
}

/// One client.
pub(crate) struct Client {
    target: Target,
    document: Rc<str>,
    pub(crate) talk: Talk,
    socket: Option<Socket>,
    out: Out,
}

impl Client {
    pub(crate) fn new(target: Target, document: &str, role: Role) -> Result<Self> {
        let talk = Talk::new(target.kind, document, role)?;
        Ok(Self { target, document: document.into(), talk, socket: None, out: Out::new() })
    }

    /// Connects, and says what comes first.
    pub(crate) async fn connect(&mut self, buffer: Option<u32>) -> Result<()> {
        let path = Talk::path(self.target.kind, &self.document);
        let socket =
            timeout(PATIENCE, Socket::connect(self.target.address, path, buffer)).await.context("no answer")??;
        self.socket = Some(socket);
        self.talk.connected(&mut self.out);
        self.send()
    }

    /// Connects, and waits until it is up to date.
    pub(crate) async fn enter(&mut self, buffer: Option<u32>) -> Result<()> {
        self.connect(buffer).await?;
        self.until("up to date", |client| client.talk.is_live()).await
    }

    /// Serves the connection until something is so.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let wait = async {
            while !is_so(self) {
                self.socket()?.ready().await?;
                self.serve(|_| ())?;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("not {what} after {PATIENCE:?}"))?
    }

    /// Cuts the connection without a word.
    pub(crate) fn cut(&mut self) {
        if self.socket.take().is_some() {
            self.talk.disconnected();
        }
    }

    pub(crate) fn socket(&self) -> Result<&Socket> {
        self.socket.as_ref().context("not connected")
    }

    /// Takes what has arrived, and answers what is to be answered.
    pub(crate) fn serve(&mut self, mut look: impl FnMut(&[u8])) -> Result<()> {
        let Self { socket, talk, out, .. } = self;
        let socket = socket.as_mut().context("not connected")?;
        let open = SCRATCH.with_borrow_mut(|scratch| {
            socket.read(scratch, |frame| {
                look(frame);
                talk.hear(frame, out)
            })
        })?;
        self.send()?;
        ensure!(open, "the server closed the connection");
        Ok(())
    }

    /// Writes, to be sent with the next [`Self::send`].
    pub(crate) fn put(&mut self, key: usize, text: &str) -> Result<()> {
        self.talk.put(key, text, &mut self.out)
    }

    /// Sends what waits.
    pub(crate) fn send(&mut self) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let socket = self.socket.as_mut().context("not connected")?;
        for frame in self.out.drain(..) {
            socket.add(&frame);
        }
        socket.flush()
    }

    /// Sends what did not fit into the socket.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.socket.as_mut().context("not connected")?.flush()
    }
}
