//! Documents with a writer and readers each, and two ways to write: so many a second, or as fast as they are read.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::client::{Client, PATIENCE, Target};
use crate::measure::latencies;
use crate::protocol::Role;
use crate::stamp::Stamps;

/// How many connect at a time.
pub(crate) const AT_ONCE: usize = 64;

/// Keys that a writer overwrites in turn, so that documents do not grow.
const KEYS: u64 = 16;

/// How often the pace is looked at.
const TICK: Duration = Duration::from_millis(1);

type Shared = Rc<RefCell<Client>>;

/// What all clients of one load share.
pub(crate) struct Load {
    stamps: Stamps,
    len: usize,
    documents: RefCell<Vec<Rc<Document>>>,
    latencies: RefCell<Histogram<u64>>,
    delivered: Cell<u64>,
    failure: RefCell<Option<anyhow::Error>>,
    /// How many messages may be on their way in a document, when it is written as fast as it is read.
    window: Cell<u64>,
    /// Documents that may be written again.
    waiting: RefCell<VecDeque<usize>>,
    written: Notify,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

/// One document.
struct Document {
    writer: Shared,
    /// Those that hold the document, to compare.
    replicas: Vec<Shared>,
    readers: u64,
    sent: Cell<u64>,
    delivered: Cell<u64>,
    is_waiting: Cell<bool>,
}

/// How a document is connected.
pub(crate) struct Members {
    /// How many read.
    pub(crate) readers: usize,
    /// How many of them hold the document.
    pub(crate) replicas: usize,
}

impl Load {
    /// Nothing yet; messages will be this long.
    pub(crate) fn new(len: usize) -> Rc<Self> {
        Rc::new(Self {
            stamps: Stamps::new(),
            len,
            documents: RefCell::default(),
            latencies: RefCell::new(latencies()),
            delivered: Cell::new(0),
            failure: RefCell::default(),
            window: Cell::new(0),
            waiting: RefCell::default(),
            written: Notify::new(),
            tasks: RefCell::default(),
        })
    }

    /// Opens more documents, each for as many as are given.
    pub(crate) async fn open(self: &Rc<Self>, target: Target, documents: usize, members: &Members) -> Result<()> {
        let first = self.documents.borrow().len();
        let mut opened: Vec<_> = stream::iter(first..first + documents)
            .map(|index| async move { anyhow::Ok((index, connect(target, index, members).await?)) })
            .buffer_unordered(if members.readers > AT_ONCE { 1 } else { AT_ONCE / members.readers.max(1) })
            .try_collect()
            .await?;
        opened.sort_by_key(|(index, _)| *index);
        for (index, clients) in opened {
            let clients: Vec<Shared> = clients.into_iter().map(|client| Rc::new(RefCell::new(client))).collect();
            let document = Rc::new(Document {
                writer: Rc::clone(&clients[0]),
                replicas: clients[1..]
                    .iter()
                    .filter(|client| client.borrow().talk.state().is_some())
                    .cloned()
                    .collect(),
                readers: members.readers as u64,
                sent: Cell::new(0),
                delivered: Cell::new(0),
                is_waiting: Cell::new(false),
            });
            self.documents.borrow_mut().push(Rc::clone(&document));
            for (number, client) in clients.into_iter().enumerate() {
                let load = Rc::clone(self);
                let document = Rc::clone(&document);
                let task = tokio::task::spawn_local(async move {
                    if let Err(error) = load.serve(&client, number > 0, index, &document).await {
                        load.failure.borrow_mut().get_or_insert(error);
                    }
                });
                self.tasks.borrow_mut().push(task);
            }
        }
        Ok(())
    }

    async fn serve(&self, client: &Shared, reads: bool, index: usize, document: &Document) -> Result<()> {
        loop {
            let stream = client.borrow().socket()?.stream();
            stream.readable().await?;
            client.borrow_mut().serve(|frame| {
                if reads {
                    self.look(frame, index, document);
                }
            })?;
        }
    }

    fn look(&self, frame: &[u8], index: usize, document: &Document) {
        let mut delivered = 0;
        let mut latencies = self.latencies.borrow_mut();
        let now = self.stamps.now();
        for at in self.stamps.read(frame) {
            // More than the histogram holds is as bad as the most that it holds.
            latencies.saturating_record(now.saturating_sub(at).max(1));
            delivered += 1;
        }
        if delivered == 0 {
            return;
        }
        self.delivered.set(self.delivered.get() + delivered);
        document.delivered.set(document.delivered.get() + delivered);
        let window = self.window.get();
        if window > 0 && !document.is_waiting.get() && document.on_the_way() < window {
            document.is_waiting.set(true);
            self.waiting.borrow_mut().push_back(index);
            self.written.notify_one();
        }
    }

    /// Writes so many messages a second, over all documents in turn, for so long.
    pub(crate) async fn pace(&self, per_second: f64, time: Duration) -> Result<()> {
        let began = Instant::now();
        let mut sent = 0u64;
        let mut tick = began;
        while began.elapsed() < time {
            let due = (began.elapsed().as_secs_f64() * per_second) as u64;
            let documents = self.documents.borrow().len() as u64;
            while sent < due {
                self.write((sent % documents) as usize, 1)?;
                sent += 1;
            }
            tick += TICK;
            self.flush()?;
            sleep_until(tick).await;
        }
        self.healthy()
    }

    /// Keeps so many messages on their way in each document, for so long.
    pub(crate) async fn rush(&self, window: u64, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.window.set(window);
        for index in 0..self.documents.borrow().len() {
            self.write(index, window)?;
        }
        while Instant::now() < end {
            let next = self.waiting.borrow_mut().pop_front();
            match next {
                Some(index) => {
                    let document = Rc::clone(&self.documents.borrow()[index]);
                    document.is_waiting.set(false);
                    self.write(index, window.saturating_sub(document.on_the_way()))?;
                    // The readers are on the same thread.
                    tokio::task::yield_now().await;
                }
                None => {
                    // What did not fit into a socket is tried again after a while.
                    let _ = timeout(TICK, self.written.notified()).await;
                    self.flush()?;
                }
            }
        }
        self.window.set(0);
        self.waiting.borrow_mut().drain(..).for_each(|index| self.documents.borrow()[index].is_waiting.set(false));
        self.healthy()
    }

    fn write(&self, index: usize, count: u64) -> Result<()> {
        let document = Rc::clone(&self.documents.borrow()[index]);
        let mut writer = document.writer.borrow_mut();
        for _ in 0..count {
            let number = document.sent.get();
            writer.put((number % KEYS) as usize, &self.stamps.text(self.len))?;
            document.sent.set(number + 1);
        }
        writer.send()
    }

    fn flush(&self) -> Result<()> {
        for document in &*self.documents.borrow() {
            document.writer.borrow_mut().flush()?;
        }
        Ok(())
    }

    /// Waits until everybody has everything, and checks that it is so: every message was counted at every reader, and those that hold the
    /// document hold what its writer does.
    pub(crate) async fn settle(&self) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        let is_settled = || {
            let documents = self.documents.borrow();
            documents.iter().all(|document| document.has_all() && document.writer.borrow().talk.is_saved())
        };
        while !is_settled() {
            self.flush()?;
            self.healthy()?;
            if Instant::now() > limit {
                let documents = self.documents.borrow();
                let missing: u64 = documents.iter().map(|document| document.missing()).sum();
                return Err(anyhow!("{missing} messages did not come, or were not acknowledged"));
            }
            sleep(TICK).await;
        }
        for document in &*self.documents.borrow() {
            let state = document.writer.borrow().talk.state();
            for replica in &document.replicas {
                ensure!(replica.borrow().talk.state() == state, "a replica differs from its writer");
            }
        }
        Ok(())
    }

    /// How many messages have reached a reader so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// The latencies since they were taken last.
    pub(crate) fn take_latencies(&self) -> Histogram<u64> {
        self.latencies.replace(latencies())
    }

    /// How many messages were written to the first document.
    pub(crate) fn sent(&self) -> u64 {
        self.documents.borrow()[0].sent.get()
    }

    /// What the writer of the first document has.
    pub(crate) fn state(&self) -> Option<[u8; 16]> {
        self.documents.borrow()[0].writer.borrow().talk.state()
    }

    /// How many stamps are in a frame.
    pub(crate) fn stamps_in(&self, frame: &[u8]) -> u64 {
        self.stamps.read(frame).count() as u64
    }

    fn healthy(&self) -> Result<()> {
        match self.failure.borrow_mut().take() {
            Some(error) => Err(error.context("a client failed")),
            None => Ok(()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.borrow().iter().for_each(JoinHandle::abort);
    }
}

impl Document {
    /// How many messages have not reached all readers, roughly.
    fn on_the_way(&self) -> u64 {
        self.sent.get() - self.delivered.get() / self.readers.max(1)
    }

    fn missing(&self) -> u64 {
        (self.sent.get() * self.readers).saturating_sub(self.delivered.get())
    }

    fn has_all(&self) -> bool {
        self.delivered.get() == self.sent.get() * self.readers
    }
}

/// The writer, then the readers.
async fn connect(target: Target, index: usize, members: &Members) -> Result<Vec<Client>> {
    let name = format!("document-{index}");
    let mut clients = Vec::with_capacity(1 + members.readers);
    for number in 0..=members.readers {
        let role = if number <= members.replicas { Role::Replica } else { Role::Reader };
        let mut client = Client::new(target, &name, role)?;
        client.enter(None).await.with_context(|| format!("client {number} of {name}"))?;
        clients.push(client);
    }
    Ok(clients)
}
