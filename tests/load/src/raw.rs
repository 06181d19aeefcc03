//! The ceiling: the least that a websocket server in Rust can be. Whatever comes goes to everybody else on the same path.
//!
//! It is made like a good one: frames are shared and not copied per receiver before they are written, all that waits for a receiver leaves in
//! one write, buffers are small, one thread. It stores nothing, knows nothing, and lets a slow reader fill its memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const BUFFER: usize = 4 << 10;

type Rooms = Rc<RefCell<HashMap<String, Vec<(u64, UnboundedSender<Bytes>)>>>>;

pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on ws://{}", listener.local_addr()?);
        let rooms = Rooms::default();
        for number in 0.. {
            let (stream, _) = listener.accept().await?;
            let rooms = Rc::clone(&rooms);
            tokio::task::spawn_local(async move {
                // Whoever breaks off is gone, and nobody else is concerned.
                let _ = connection(stream, number, &rooms).await;
            });
        }
        Ok(())
    }))
}

async fn connection(stream: TcpStream, number: u64, rooms: &Rooms) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut path = String::new();
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    // The type of a refusal, which is never made, is the library's.
    #[allow(clippy::result_large_err)]
    let keep_path = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let mut socket = accept_hdr_async_with_config(stream, keep_path, Some(config)).await?;
    let (sender, mut inbox) = unbounded_channel();
    rooms.borrow_mut().entry(path.clone()).or_default().push((number, sender));
    let served = pass_on(&mut socket, number, &path, rooms, &mut inbox).await;
    let mut rooms = rooms.borrow_mut();
    if let Some(room) = rooms.get_mut(&path) {
        room.retain(|(other, _)| *other != number);
        if room.is_empty() {
            rooms.remove(&path);
        }
    }
    served
}

async fn pass_on(
    socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>,
    number: u64,
    path: &str,
    rooms: &Rooms,
    inbox: &mut UnboundedReceiver<Bytes>,
) -> Result<()> {
    loop {
        tokio::select! {
            Some(message) = inbox.recv() => {
                socket.feed(Message::Binary(message)).await?;
                while let Ok(message) = inbox.try_recv() {
                    socket.feed(Message::Binary(message)).await?;
                }
                socket.flush().await?;
            }
            message = socket.next() => match message {
                Some(Ok(Message::Binary(message))) => {
                    for (other, sender) in rooms.borrow().get(path).into_iter().flatten() {
                        if *other != number {
                            // One that has just ended takes nothing.
                            let _ = sender.send(message.clone());
                        }
                    }
                }
                Some(message) => _ = message?,
                None => return Ok(()),
            }
        }
    }
}
