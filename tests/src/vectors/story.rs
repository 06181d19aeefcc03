//! What the golden vectors tell: two people, then a third, and every kind of thing that can be written.

use weftline::sync::{Opening, Replica};
use weftline::{
    Bias, Commit, Delta, DeltaParts, Document, EditError, Entry, Expand, Few, Hlc, Kind as EntryKind, Payload,
    ReplicaId, Slot, Tag, Timestamp, Transaction, Value, VersionVector, codec,
};

use super::{Kind, Vector, at_rest, diff};

/// A document that writes down each delta it makes.
struct Writer {
    document: Document,
    now: u64,
}

/// The vectors so far, and the deltas that others have not seen.
#[derive(Default)]
struct Book {
    vectors: Vec<Vector>,
    sent: Vec<Delta>,
}

impl Writer {
    fn new(id: u128) -> Self {
        Self { document: Document::with_writer(ReplicaId::from(id)), now: 1_700_000_000_000 }
    }

    fn write(&mut self, book: &mut Book, name: &str, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) {
        self.now += 1_000;
        let commit: Commit<()> = self.document.transact(Timestamp(self.now), edit).expect(name);
        let delta = commit.delta.expect(name);
        book.vectors.push(Vector::of(name, Kind::Delta, delta.bytes(), Some(delta.prev_tag())));
        book.sent.push(delta);
    }
}

fn meet(book: &mut Book, writers: &mut [&mut Writer]) {
    for delta in book.sent.drain(..) {
        for writer in writers.iter_mut() {
            writer.document.apply(&delta).expect("the story's deltas apply");
        }
    }
}

/// The vectors, always the same.
///
/// # Panics
/// When the library no longer does what the story asks of it.
#[must_use]
pub fn story() -> Vec<Vector> {
    let mut book = Book::default();
    let (mut anna, mut ben) = (Writer::new(0xa), Writer::new(0xb00b));
    values(&mut book, &mut anna);
    policies(&mut book, &mut anna);
    meet(&mut book, &mut [&mut ben]);
    lists(&mut book, &mut anna, &mut ben);
    texts(&mut book, &mut anna, &mut ben);
    removals(&mut book, &mut anna, &mut ben);
    unknown(&mut book, &mut anna, &mut ben);
    catch_up(&mut book, &mut anna);
    book.vectors.push(as_the_package_writes());
    book.vectors
}

fn values(book: &mut Book, anna: &mut Writer) {
    anna.write(book, "a number in a register", |tx| tx.register("title")?.set(7));
    anna.write(book, "values of every type", |tx| {
        let mut map = tx.map("m")?;
        map.put("null", ())?;
        map.put("true", true)?;
        map.put("false", false)?;
        map.put("small", -16)?;
        map.put("not small", 32)?;
        map.put("large", i64::MIN)?;
        map.put("float", -0.0)?;
        map.put("nan", f64::NAN)?;
        map.put("empty", "")?;
        map.put("text", "Überfluß 🎈")?;
        map.put("long text", "weft ".repeat(40).as_str())?;
        map.put("bytes", &[0, 255][..])?;
        map.put("long bytes", &[7; 64][..])
    });
    anna.write(book, "many of one shape", |tx| {
        let mut map = tx.map("rows")?;
        (0..300).try_for_each(|row| map.put(&format!("k{row:04}"), 1_000 + row))
    });
    anna.write(book, "a put over another", |tx| tx.map("m")?.put("text", "new"));
    anna.write(book, "containers in containers", |tx| {
        let mut map = tx.map("m")?;
        map.map("inner")?.map("innermost")?.put("k", 1)?;
        map.set("tags")?.add("a")?;
        map.text("note")?.push("hello")
    });
}

fn policies(book: &mut Book, anna: &mut Writer) {
    anna.write(book, "a counter from nothing", |tx| tx.counter("hits")?.add(5));
    anna.write(book, "a counter up", |tx| tx.counter("hits")?.add(1));
    anna.write(book, "a counter down", |tx| tx.counter("hits")?.add(-100));
    anna.write(book, "a counter far up", |tx| tx.counter("hits")?.add(i64::MAX));
    anna.write(book, "flags", |tx| {
        tx.flag("on")?.enable()?;
        tx.disable_wins_flag("off")?.enable()?;
        tx.disable_wins_flag("off")?.disable()
    });
    anna.write(book, "extremes", |tx| {
        tx.max_register("most")?.raise(3)?;
        tx.min_register("least")?.lower(3).map(drop)
    });
    anna.write(book, "sets", |tx| {
        tx.set("s")?.add("x")?;
        tx.set("s")?.add(1.5)?;
        tx.grow_only_set("g")?.add("x")?;
        tx.remove_wins_set("r")?.add("x")?;
        tx.remove_wins_set("r")?.remove(&"y".into()).map(drop)
    });
    anna.write(book, "rights", |tx| {
        let mut map = tx.map("m")?;
        let mut stock = map.bounded_counter_above("stock", -5)?;
        stock.add(10)?;
        stock.subtract(2)?;
        stock.transfer(ReplicaId::from(0xb00b), 3)
    });
}

fn lists(book: &mut Book, anna: &mut Writer, ben: &mut Writer) {
    anna.write(book, "pushes", |tx| {
        let mut list = tx.list("l")?;
        ["a", "b", "c"].into_iter().try_for_each(|value| list.push(value).map(drop))
    });
    meet(book, &mut [ben]);
    ben.write(book, "inserts at the start, and a container", |tx| {
        let mut list = tx.list("l")?;
        list.insert(0, "z")?;
        list.insert(0, "y")?;
        let row = list.insert_container(3, EntryKind::MAP)?;
        list.map(row)?.put("done", false)
    });
    let last = anna.document.list("l").id_at(2).expect("three were pushed");
    anna.write(book, "a move", |tx| tx.list("l")?.move_to(last, 0));
    anna.write(book, "an overwritten element", |tx| tx.list("l")?.put(last, "C"));
    meet(book, &mut [anna, ben]);
}

fn texts(book: &mut Book, anna: &mut Writer, ben: &mut Writer) {
    anna.write(book, "a first character", |tx| tx.text("t")?.push("W"));
    anna.write(book, "typing", |tx| tx.text("t")?.push("eft 🧵 line"));
    meet(book, &mut [ben]);
    ben.write(book, "typing in the middle, and before that", |tx| {
        let mut text = tx.text("t")?;
        text.insert(4, "~")?;
        text.insert(4, "<")?;
        text.insert(4, "[")
    });
    anna.write(book, "typing and deleting", |tx| {
        let mut text = tx.text("t")?;
        text.delete(1..3)?;
        text.insert(1, "EF")
    });
    meet(book, &mut [anna, ben]);
    ben.write(book, "a mark", |tx| tx.text("t")?.mark(1..5, "bold", true, Expand::After));
    ben.write(book, "a mark with a value, and another taken off", |tx| {
        let mut text = tx.text("t")?;
        text.mark(2..8, "link", "https://weftline.example", Expand::None)?;
        text.unmark(3..4, "bold")
    });
    meet(book, &mut [anna, ben]);
    let text = anna.document.text("t");
    for (name, index, bias) in [("a cursor", 3, Bias::Left), ("a cursor at the end", text.len(), Bias::Right)] {
        let cursor = text.cursor(index, bias).expect("the text is that long");
        book.vectors.push(Vector::of(name, Kind::Cursor, &cursor.to_bytes(), None));
    }
}

fn removals(book: &mut Book, anna: &mut Writer, ben: &mut Writer) {
    anna.write(book, "a removed key", |tx| tx.map("m")?.remove("small").map(drop));
    ben.write(book, "everything removed from a map", |tx| tx.map("rows")?.clear());
    anna.write(book, "a put that the clearing did not see", |tx| tx.map("rows")?.put("k0007", "new"));
    meet(book, &mut [anna, ben]);
    for round in 0..4 {
        anna.write(book, &format!("an element of a set, {round}"), |tx| tx.set("s")?.add(round));
    }
    for round in 0..4 {
        anna.write(book, &format!("its removal, {round}"), |tx| tx.set("s")?.remove(&Value::from(round)).map(drop));
    }
    meet(book, &mut [ben]);
}

/// What a newer version might write.
fn unknown(book: &mut Book, anna: &mut Writer, ben: &mut Writer) {
    let entry = |slot, kind, payload| Entry {
        container: weftline::Container::Root { name: "future".into(), kind: EntryKind(99) },
        slot,
        kind: EntryKind(kind),
        entity: false,
        payload,
    };
    let replica = ReplicaId::from(0xc0ffee);
    let parts = DeltaParts {
        dots: 2,
        deps: Few::from(anna.document.heads()),
        hlc: Hlc(1_700_000_500_000 << 16 | 3),
        adds: Few::from(vec![
            (1, entry(Slot::Unit, 200, Payload::Opaque([1, 2, 3].as_slice().into()))),
            (2, entry(Slot::Member(Value::from("m")), 77, Payload::Opaque([].as_slice().into()))),
        ]),
        ..DeltaParts::blank(replica, 1)
    };
    let bytes = codec::encode_delta(&parts);
    let delta = Delta::decode(&bytes, Tag::start(replica)).expect("kinds of a newer version are kept");
    book.vectors.push(Vector::of("kinds that are not known", Kind::Delta, delta.bytes(), Some(delta.prev_tag())));
    book.sent.push(delta);
    meet(book, &mut [anna, ben]);
}

fn catch_up(book: &mut Book, anna: &mut Writer) {
    let mut carla = Document::with_writer(ReplicaId::from(0xc));
    book.vectors.push(diff("everything, for who has nothing".into(), &anna.document.diff_since(&VersionVector::new())));
    let mut whole = at_rest(|what| format!("the whole: {what}"), &anna.document);
    whole[0].shows = Some(anna.document.to_json());
    book.vectors.extend(whole);
    carla.apply_diff(&anna.document.diff_since(&VersionVector::new())).expect("it applies anywhere");
    anna.write(book, "an edit after that", |tx| {
        tx.map("m")?.put("text", "newer")?;
        tx.set("s")?.remove(&"x".into()).map(drop)
    });
    book.vectors.push(diff("what is new since".into(), &anna.document.diff_since(&carla.version())));
    let mut forgetful = anna.document.clone();
    forgetful.truncate_removals();
    forgetful.tell_changes(false);
    let alone = carla.transact(Timestamp(1_700_000_900_000), |tx| tx.register("mine")?.set(true));
    let _: Commit<()> = alone.expect("an edit");
    book.vectors.push(diff("what died, by a digest".into(), &forgetful.diff_for(&carla.digest())));
    book.vectors.extend(at_rest(|what| format!("without a log of removals: {what}"), &forgetful));
}

/// What an opening writes whose random bytes are 1 to 16 and whose time stands still. The tests of the npm package write the same.
fn as_the_package_writes() -> Vector {
    let entropy = std::array::from_fn(|at| at as u8 + 1);
    let now = Timestamp(1_700_000_000_000);
    let mut replica =
        Replica::open("vectors", Opening { slot: Some(0), entropy, now }, []).expect("an empty store opens");
    let commit: Commit<()> = replica
        .transact(now, |tx| {
            tx.map("m")?.put("k", "v")?;
            tx.map("m")?.counter("hits")?.add(3)?;
            tx.list("l")?.push("a")?;
            tx.text("t")?.insert(0, "Weft")?;
            Ok::<_, EditError>(())
        })
        .expect("an edit");
    let delta = commit.delta.expect("an edit");
    Vector::of("as the npm package writes it", Kind::Delta, delta.bytes(), Some(delta.prev_tag()))
}
