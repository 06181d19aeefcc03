//! Rooms driven by their task, with members that have no connection.

use std::collections::VecDeque;
use std::future::poll_fn;

use tokio::sync::watch;
use weftline::sync::{MessageKind, Row, Rows, Want};
use weftline::{Document, ReplicaId, VersionVector};

use super::*;
use crate::config::{Config, StoreChoice};
use crate::room::inbox::{Inbox, inbox};
use crate::room::registry::{Registry, RoomHandle};
use crate::store::MemoryStore;

/// A member without a connection.
struct Puppet {
    member: MemberId,
    room: RoomHandle,
    inbox: Inbox,
    heard: VecDeque<FromRoom>,
}

impl Puppet {
    async fn join(registry: &Registry, most: usize) -> Self {
        let room = registry.enter("d").unwrap();
        let member = MemberId(registry.next_number());
        let (outlet, inbox) = inbox(most);
        let empty = Document::new();
        let open = Open {
            document: "d".into(),
            opening: member.0,
            connection: 1,
            cursor: None,
            version_hash: empty.version_hash(),
            beacon: empty.beacon(),
            version: Some(VersionVector::new()),
            voids: Vec::new(),
            claims: Vec::new(),
            settles: Vec::new(),
            packed: false,
            staged: None,
        };
        let puppet = Puppet { member, room, inbox, heard: VecDeque::new() };
        let open = Box::new(open);
        puppet.tell(ToRoom::Join { member, connection: 1, channel: 1, outlet, open, rights: Rights::ALL }).await;
        puppet
    }

    async fn tell(&self, message: ToRoom) {
        assert!(self.room.mailbox().send(message).await.is_ok(), "the room is there");
    }

    async fn push(&self, document: &mut Document, key: usize, length: usize) {
        let put = document.transact(now(), |edit| edit.map("m")?.put(&key.to_string(), "x".repeat(length)));
        let rows = vec![Row::of(&put.unwrap().delta.unwrap())];
        let message = Message::Rows(Rows { from: 0, to: 0, rows });
        self.tell(ToRoom::Message { member: self.member, message: Box::new(message), at: Instant::now() }).await;
    }

    async fn next(&mut self) -> Said {
        while self.heard.is_empty() {
            poll_fn(|context| self.inbox.poll_take(context, &mut self.heard)).await;
        }
        self.heard.pop_front().expect("something was heard").said
    }

    fn next_if_any(&mut self) -> Option<Said> {
        self.next().now_or_never()
    }

    async fn drained(&self) {
        self.tell(ToRoom::Drained { member: self.member, bytes: usize::MAX }).await;
    }

    async fn until(&mut self, kind: MessageKind) -> Outgoing {
        loop {
            if let Said::Message(message) = self.next().await
                && message.kind == kind
            {
                return message;
            }
        }
    }
}

fn registry() -> (Registry, watch::Sender<bool>) {
    let mut config = Config::new(StoreChoice::Memory);
    config.room_idle = Duration::ZERO;
    let (stop, stopping) = watch::channel(false);
    (Registry::new(Arc::new(MemoryStore::new(1)), &config, stopping), stop)
}

#[tokio::test]
async fn a_member_that_takes_nothing_has_one_batch_on_its_way_and_then_gets_all_the_rest() {
    const PUSHED: usize = 60;
    let (registry, _stop) = registry();
    let mut slow = Puppet::join(&registry, INBOX).await;
    let mut writer = Puppet::join(&registry, INBOX).await;
    slow.until(MessageKind::CaughtUp).await;
    writer.until(MessageKind::CaughtUp).await;
    let mut document = Document::with_writer(ReplicaId::from(1));
    for key in 0..PUSHED {
        writer.push(&mut document, key, 100_000).await;
        writer.until(MessageKind::Ack).await;
    }
    let mut on_its_way = 0;
    while let Some(said) = slow.next_if_any() {
        let Said::Message(message) = said else { panic!("the room closed it") };
        on_its_way += usize::from(message.bulk);
    }
    assert_eq!(on_its_way, 1, "a slow client is a cursor, not a queue");

    // It comes back: batch after batch, and a diff where the log has been replaced by a snapshot.
    let mut seen = Document::new();
    let mut staged = Vec::new();
    while seen.version() != document.version() {
        slow.drained().await;
        let Said::Message(message) = slow.next().await else { panic!("the room closed it") };
        match Message::decode(message.kind, &message.body).unwrap() {
            Message::Rows(rows) => {
                for row in rows.rows {
                    seen.apply(&row.delta().unwrap().unwrap()).unwrap();
                }
            }
            Message::Diff(diff) => {
                seen.apply_diff(&weftline::codec::decode_diff(&diff.bytes).unwrap()).unwrap();
            }
            Message::Part(part) => {
                staged.extend_from_slice(&part.bytes);
                if staged.len() as u64 == part.total {
                    seen.apply_diff(&weftline::codec::decode_diff(&staged).unwrap()).unwrap();
                }
            }
            Message::Ask => {
                let message = Message::Want(Want::since(seen.version()));
                let message = Box::new(message);
                slow.tell(ToRoom::Message { member: slow.member, message, at: Instant::now() }).await;
            }
            _ => {}
        }
    }
    assert_eq!(seen.map("m").len(), PUSHED);
}

#[tokio::test]
async fn what_is_on_the_way_to_a_member_that_takes_nothing_is_bounded_whatever_the_edits_are() {
    for (edits, length) in [(600, 200), (40, 20_000)] {
        let (registry, _stop) = registry();
        let mut slow = Puppet::join(&registry, INBOX).await;
        let mut writer = Puppet::join(&registry, INBOX).await;
        slow.until(MessageKind::CaughtUp).await;
        writer.until(MessageKind::CaughtUp).await;
        let mut document = Document::with_writer(ReplicaId::from(1));
        for key in 0..edits {
            writer.push(&mut document, key, length).await;
            writer.until(MessageKind::Ack).await;
        }
        let mut weight = 0;
        while let Some(said) = slow.next_if_any() {
            let Said::Message(message) = said else { panic!("the room closed it") };
            weight += message.weight();
        }
        let written = edits * length;
        assert!(weight > WINDOW && weight < WINDOW + length + 1_000 && written > 2 * weight, "{weight} of {written}");
    }
}

#[tokio::test]
async fn a_member_whose_inbox_is_full_is_told_that_it_is_closed_when_it_looks() {
    let (registry, _stop) = registry();
    let mut stuck = Puppet::join(&registry, 1).await;
    // The room has more to say to it (it is open, it is up to date) than its inbox takes.
    let mut other = Puppet::join(&registry, INBOX).await;
    other.until(MessageKind::CaughtUp).await;
    let Said::Message(message) = stuck.next().await else { panic!("first the answer") };
    assert_eq!(message.kind, MessageKind::OpenAck);
    assert!(matches!(stuck.next().await, Said::Closed(Close { reason: CloseReason::Limit, retry: Retry::BACKOFF })));
    let mut document = Document::with_writer(ReplicaId::from(1));
    other.push(&mut document, 1, 10).await;
    other.until(MessageKind::Ack).await;
}

#[tokio::test]
async fn a_room_is_let_go_when_nobody_holds_it_and_not_before() {
    let (registry, _stop) = registry();
    let mut only = Puppet::join(&registry, INBOX).await;
    only.until(MessageKind::CaughtUp).await;
    only.tell(ToRoom::Leave { member: only.member }).await;
    // Somebody is on the way in: the room stays for them.
    let coming = registry.enter("d").unwrap();
    drop(only);
    tokio::task::yield_now().await;
    assert_eq!(registry.open_rooms(), 1);
    assert!(!coming.mailbox().is_closed());
    drop(coming);
    registry.drained().await;
    assert_eq!(registry.open_rooms(), 0);
}

#[tokio::test]
async fn what_was_pushed_before_finish_is_acknowledged_before_finished() {
    let (registry, _stop) = registry();
    let mut writer = Puppet::join(&registry, INBOX).await;
    writer.until(MessageKind::CaughtUp).await;
    let mut document = Document::with_writer(ReplicaId::from(1));
    for key in 0..10 {
        writer.push(&mut document, key, 10).await;
    }
    writer.tell(ToRoom::Finish { member: writer.member }).await;
    let mut acknowledged = 0;
    loop {
        match writer.next().await {
            Said::Message(message) => {
                if let Message::Ack(ack) = Message::decode(message.kind, &message.body).unwrap() {
                    acknowledged = ack.through;
                }
            }
            Said::Finished => break,
            Said::Closed(close) | Said::End(close) => panic!("{close:?}"),
        }
    }
    assert_eq!(acknowledged, document.seq(ReplicaId::from(1)));
}

/// As large as a connection's.
const INBOX: usize = 4 << 10;
