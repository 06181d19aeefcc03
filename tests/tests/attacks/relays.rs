//! What a relay does to its clients: it is trusted with availability, not with what was written.
//!
//! | attack | what stops it | what the clients see |
//! |---|---|---|
//! | saying old rows again | dots: what is known is known (DOT-2); positions must follow one another (CUR-2) | nothing, or a new connection |
//! | being put back to an older state, and not saying so | claims and version hashes at every connect (ACK-4, CUR-3) | their edits go up again (ACK-5) |
//! | keeping to itself what others write | nothing, until somebody else tells: a relay can withhold | nothing |

use weftline::sync::{Message, Row, Rows};

use super::desk::{Honest, Relay};

#[test]
fn cur_2_rows_that_are_said_again_change_nothing() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    honest.put(0, &mut relay);
    honest.assert_at_one(&relay);
    // What the relay keeps for itself is not told to anybody.
    let rows = relay.log.iter().map(|row| Row::decode(row).expect("it was stored"));
    let rows: Vec<Row> = rows.filter(|row| row.delta().is_some()).collect();
    let shown = honest.clients[1].replica.document().snapshot();
    for back in [rows.len() as u64, 1, 0] {
        let next = relay.log.len() as u64 + 1;
        let from = next - back;
        let message = Message::Rows(Rows { from, to: from + rows.len() as u64 - 1, rows: rows.clone() });
        let connection = relay.connections.get_mut(&2).expect("it is connected");
        let (channel, _) = connection.member.expect("it has opened");
        connection.session.send(channel, &message);
        let frame = connection.session.poll().expect("it is sent");
        let told = honest.clients[1].replica.frame(super::desk::NOW, &frame);
        assert_eq!(told.is_ok(), from == next, "positions follow one another");
        assert_eq!(honest.clients[1].replica.document().snapshot(), shown);
        relay.disconnect(2);
        honest.settle(&mut relay);
    }
    honest.put(1, &mut relay);
    honest.assert_at_one(&relay);
}

#[test]
fn ack_5_a_relay_that_went_back_is_given_what_it_lost() {
    for kept in [0, 1, 3] {
        let mut relay = Relay::new();
        let mut honest = Honest::new(2, &mut relay);
        let keys: Vec<String> = (0..6).map(|nth| honest.put(nth % 2, &mut relay)).collect();
        let was = relay.room.document().version();
        relay.roll_back(kept);
        assert!(relay.room.document().version() != was);
        honest.settle(&mut relay);
        let after = honest.put(0, &mut relay);
        honest.assert_at_one(&relay);
        assert!(relay.room.document().version().dominates(&was), "all that was acked is there again");
        assert!(keys.iter().all(|key| honest.show(key)) && honest.show(&after));
    }
}

/// A client cannot know what it is not told. What was withheld is not lost: it comes as soon as anybody tells.
#[test]
fn a_relay_can_withhold_but_not_change() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    relay.withheld_from = Some(2);
    let key = honest.put(0, &mut relay);
    let shows = |honest: &Honest, nth: usize| honest.clients[nth].replica.document().map("m").contains(&key);
    assert!(shows(&honest, 0) && !shows(&honest, 1));
    assert!(honest.clients[1].replica.status().is_synced(), "it has been told nothing else");
    relay.withheld_from = None;
    relay.disconnect(2);
    honest.settle(&mut relay);
    honest.put(1, &mut relay);
    honest.assert_at_one(&relay);
    assert!(shows(&honest, 1));
}
