//! The admin API, the status page, and copies of the store.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weftline::Document;
use weftline_relay::auth::claims::{Access, Claims};
use weftline_relay::auth::keys::{Algorithm, Keys, Minted};
use weftline_relay::auth::token::mint;
use weftline_relay::{Relay, StoreChoice};

use super::client::{Client, PATIENCE};
use super::convergence::config;
use super::operators::{Lab, TOKEN, scrape};
use super::processes::{Process, command};

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    fn ok(&self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self.json()
    }

    fn refused(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let error = self.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(part), "{error}");
    }
}

async fn call(at: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    let token = TOKEN.replace(' ', "-");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Answer { status: head[9..12].parse().unwrap(), body: answer[end + 4..].to_vec() }
}

async fn get(at: SocketAddr, path: &str) -> Answer {
    call(at, "GET", path, b"").await
}

async fn filled(lab: &Lab, document: &str, keys: usize) -> Client {
    let mut client = lab.live(document).await;
    for key in 0..keys {
        client.put(&key.to_string(), key as i64);
    }
    client.until_synced().await;
    client
}

#[tokio::test]
async fn documents_are_listed_and_looked_into() {
    let lab = Lab::new(|_| {}).await;
    let at = lab.admin();
    let mut client = filled(&lab, "a/b c", 3).await;
    for name in ["x", "y", "z"] {
        filled(&lab, name, 1).await;
    }
    let all = get(at, "/admin/documents").await.ok();
    let names: Vec<&str> =
        all["documents"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a/b c", "x", "y", "z"]);
    assert_eq!(all["next"], Value::Null);
    let page = get(at, "/admin/documents?after=x&limit=1").await.ok();
    assert_eq!((&page["documents"][0]["name"], &page["next"]), (&json!("y"), &json!("y")));

    let one = get(at, "/admin/documents/a%2Fb%20c").await.ok();
    assert_eq!(one["mode"], "read-write");
    assert!(one["log_bytes"].as_u64().unwrap() > 0 && one["head"] == one["open"]["head"], "{one}");
    let member = &one["open"]["members"][0];
    assert_eq!((&member["rows_behind"], &member["catching_up"]), (&json!(0), &json!(false)), "{one}");
    assert_eq!(member["connection"]["address"], "127.0.0.1");
    client.cut();
    lab.relay.registry().closed("a/b c").await;
    assert_eq!(get(at, "/admin/documents/a%2Fb%20c").await.ok()["open"], Value::Null);

    get(at, "/admin/documents/nothing").await.refused(404, "no document");
    get(at, "/admin/documents?page=1").await.refused(400, "no parameter page");
    get(at, "/admin/documents?limit=many").await.refused(400, "limit=many");
    call(at, "PATCH", "/admin/documents", b"").await.refused(405, "PATCH");
    get(at, "/admin/nothing").await.refused(404, "no such path");
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_exported_can_be_read_by_the_library_and_imported_elsewhere() {
    let lab = Lab::new(|_| {}).await;
    let at = lab.admin();
    let mut client = filled(&lab, "d", 20).await;
    let export = get(at, "/admin/documents/d/export").await;
    assert_eq!(export.status, 200);
    let document = Document::load(&export.body).unwrap();
    assert_eq!(document.map("map").len(), 20);

    call(at, "PUT", "/admin/documents/d/import", &export.body).await.refused(409, "exists");
    call(at, "PUT", "/admin/documents/e/import", b"nonsense").await.refused(400, "not an export");
    let imported = call(at, "PUT", "/admin/documents/e/import", &export.body).await;
    assert_eq!((imported.status, imported.ok()["name"].clone()), (201, json!("e")));
    let mut reader = lab.live("e").await;
    reader.until("all of it", |reader| reader.keys() == 20).await;
    // The copy lives on by itself, and survives a compaction.
    reader.put("more", 1);
    reader.until_synced().await;
    call(at, "POST", "/admin/documents/e/compact", b"").await.ok();
    let second = lab.live("e").await;
    assert_eq!(second.keys(), 21);

    // Its author goes on where the export was put back.
    client.put("later", 1);
    client.until_synced().await;
    let replaced = call(at, "PUT", "/admin/documents/d/import?replace=true", &export.body).await;
    assert_eq!(replaced.status, 201);
    client.until("sent away", |client| !client.is_connected()).await;
    client.connect(lab.relay.local_addr()).await;
    client.until_synced().await;
    let other = lab.live("d").await;
    assert_eq!(other.keys(), 21, "what the export lacked was given back");
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_document_is_deleted_with_its_room_and_clients_that_have_it_give_it_back() {
    let lab = Lab::new(|_| {}).await;
    let at = lab.admin();
    let mut client = filled(&lab, "d", 5).await;
    assert_eq!(call(at, "DELETE", "/admin/documents/d", b"").await.ok(), json!({ "deleted": "d" }));
    call(at, "DELETE", "/admin/documents/d", b"").await.refused(404, "no document");
    get(at, "/admin/documents/d").await.refused(404, "no document");
    let empty = lab.live("d").await;
    assert_eq!(empty.keys(), 0);
    client.until("sent away", |client| !client.is_connected()).await;
    client.connect(lab.relay.local_addr()).await;
    client.until_synced().await;
    assert_eq!(lab.live("d").await.keys(), 5);
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_document_is_read_only_or_closed_until_it_is_not_also_after_a_restart() {
    let lab = Lab::new(|_| {}).await;
    let at = lab.admin();
    let mode = |mode: &str| format!("{{\"mode\": \"{mode}\"}}");
    let mut client = filled(&lab, "d", 1).await;
    call(at, "PUT", "/admin/documents/d/mode", mode("read-only").as_bytes()).await.ok();
    client.put("refused", 1);
    client.transmit().await;
    let refused = async {
        while scrape(at).await["weftline_relay_nacks_total{reason=\"read_only\"}"] == 0.0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(lab.live("d").await.keys(), 1);
    client.cut();

    // After a restart it is still so.
    let directory = lab.directory;
    lab.relay.shutdown().await.unwrap();
    let mut again = config(StoreChoice::Sqlite(directory.path().join("relay.db")));
    again.admin_token_file = Some(super::operators::token_file(&directory));
    let relay = Relay::bind(again).await.unwrap();
    let at = relay.local_addr();
    assert_eq!(get(at, "/admin/documents/d").await.ok()["mode"], "read-only");
    client.connect(at).await;
    client.until_live().await;
    assert!(!client.is_synced());
    // Its edit is taken as soon as edits are: it is sent away and comes back.
    call(at, "PUT", "/admin/documents/d/mode", mode("read-write").as_bytes()).await.ok();
    client.until("sent away", |client| !client.is_connected()).await;
    client.connect(at).await;
    client.until_synced().await;

    call(at, "PUT", "/admin/documents/d/mode", mode("closed").as_bytes()).await.ok();
    client.until("sent away", |client| !client.is_connected()).await;
    client.connect(at).await;
    client.until("sent away again", |client| !client.is_connected()).await;
    call(at, "PUT", "/admin/documents/d/mode", mode("open").as_bytes()).await.refused(400, "unknown variant");
    call(at, "PUT", "/admin/documents/d/mode", mode("read-write").as_bytes()).await.ok();
    client.connect(at).await;
    client.until_synced().await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn connections_are_listed_and_kicked() {
    let lab = Lab::new(|config| config.trust_proxy = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let at = lab.admin();
    let (mut one, mut two) = (lab.live("d").await, lab.live("d").await);
    let all = get(at, "/admin/connections").await.ok();
    let all = all["connections"].as_array().unwrap().clone();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one["address"] == "127.0.0.1" && one["since"].as_u64().unwrap() > 0), "{all:?}");
    let kick = format!("{{\"connection\": {}, \"retry_after_ms\": 5000}}", all[0]["connection"]);
    assert_eq!(call(at, "POST", "/admin/connections/kick", kick.as_bytes()).await.ok()["ended"], 1);
    one.until("sent away", |one| !one.is_connected()).await;
    assert!(two.is_connected());
    assert_eq!(scrape(at).await["weftline_relay_connections_ended_total{reason=\"kicked\"}"], 1.0);
    // Everybody in a document; they may come right back.
    assert_eq!(call(at, "POST", "/admin/documents/d/kick", b"").await.ok()["ended"], 1);
    two.until("sent away", |two| !two.is_connected()).await;
    two.connect(lab.relay.local_addr()).await;
    two.until_live().await;
    let nobody = call(at, "POST", "/admin/connections/kick", b"{\"subject\": \"nobody\"}").await;
    assert_eq!(nobody.ok()["ended"], 0);
    call(at, "POST", "/admin/connections/kick", b"{}").await.refused(400, "name one of");
    call(at, "POST", "/admin/connections/kick", b"{\"who\": 1}").await.refused(400, "unknown field");
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_status_page_has_what_it_shows() {
    let lab = Lab::new(|_| {}).await;
    let _client = filled(&lab, "<b>shown</b>", 3).await;
    let page = get(lab.admin(), "/status").await;
    let text = String::from_utf8(page.body).unwrap();
    assert!(page.status == 200 && text.contains("<!doctype html>") && !text.contains("http://1"), "self-contained");
    let data = get(lab.admin(), "/status.json").await.ok();
    assert_eq!((&data["connections"], &data["open_documents"], &data["behind"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(
        data["documents"][0],
        json!({ "name": "<b>shown</b>", "members": 1, "behind": 0, "position": data["documents"][0]["position"] })
    );
    // Everything that the page reads of it is in it.
    let fields = text.split(|letter: char| !(letter.is_alphanumeric() || "_.".contains(letter)));
    for field in fields.filter_map(|word| word.strip_prefix("s.")).map(|field| field.split('.').next().unwrap()) {
        assert!(data.get(field).is_some() || field == "samples", "the page reads {field}: {data}");
    }
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_is_copied_while_it_is_used_and_put_back() {
    let directory = tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let token = directory.path().join("token");
    std::fs::write(&token, TOKEN.replace(' ', "-")).unwrap();
    let more = ["--admin-token-file", token.to_str().unwrap()];
    let process = Process::start_with(directory.path().join("relay.db").as_ref(), &more).await;
    let mut client = Client::new("d");
    client.connect(process.address).await;
    client.put("before", 1);
    client.until_synced().await;

    let run = |arguments: Vec<String>| async move {
        let output = command().args(&arguments).output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (code, said) = run(words(&format!("backup {} --store {}", at("copy"), at("relay.db")))).await;
    assert_eq!(code, 0, "{said}");
    let fetched = call(process.address, "POST", "/admin/backup", b"").await;
    assert_eq!(fetched.status, 200);
    std::fs::write(at("fetched"), &fetched.body).unwrap();

    client.put("after", 1);
    client.until_synced().await;
    let (code, said) = run(words(&format!("restore {} --store {} --replace", at("copy"), at("relay.db")))).await;
    assert!(code == 1 && said.contains("in use by another relay"), "{said}");
    let (code, said) = run(words(&format!("check --store {}", at("relay.db")))).await;
    assert!(code == 0 && said.contains("in use by a relay"), "{said}");
    process.stop().await;

    let (code, said) = run(words(&format!("restore {} --store {}", at("copy"), at("relay.db")))).await;
    assert!(code == 1 && said.contains("--replace"), "{said}");
    for copy in ["copy", "fetched"] {
        let (code, said) = run(words(&format!("restore {} --store {} --replace", at(copy), at("relay.db")))).await;
        assert_eq!(code, 0, "{said}");
        let process = Process::start(directory.path().join("relay.db").as_ref()).await;
        let mut witness = Client::new("d");
        witness.connect(process.address).await;
        witness.until_live().await;
        assert_eq!(witness.keys(), 1, "as it was when the copy was made");
        // Clients are ahead of the copy, and give back what it lacks.
        client.connect(process.address).await;
        client.until_synced().await;
        witness.until("it is all there again", |witness| witness.keys() == 2).await;
        client.cut();
        process.stop().await;
    }

    let (code, said) =
        run(words(&format!("check --store {} --admin-token-file {}", at("relay.db"), at("token")))).await;
    assert!(code == 0 && said.contains("1 documents") && said.contains("commits"), "{said}");
    assert!(said.contains("other users of this machine can read it"), "{said}");
    let (code, said) = run(words(&format!("check --store {}", at("new.db")))).await;
    assert!(code == 0 && said.contains("would be created"), "{said}");
    assert!(!directory.path().join("new.db").exists(), "a check leaves nothing behind");
    let (code, said) = run(words(&format!("check --store {} --max-frame 1", at("new.db")))).await;
    assert!(code == 1 && said.contains("--max-frame"), "{said}");
}

#[tokio::test]
async fn settings_come_from_flags_then_the_environment_then_the_file() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("relay.toml");
    let store = directory.path().join("relay.db");
    std::fs::write(&file, "max-connections = 3\nroom-idle = \"7s\"\nheartbeat = \"0s\"\n").unwrap();
    // Nonsense in the file is found unless something before it wins; so whoever wins is seen by what is refused.
    let check = |flag: Option<&'static str>, variable: Option<&'static str>| {
        let mut command = command();
        command.args(["check", "--config"]).arg(&file).arg("--store").arg(&store);
        command.args(flag);
        if let Some(value) = variable {
            command.env("WEFTLINE_RELAY_HEARTBEAT", value);
        }
        async move {
            let output = command.output().await.unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    let (fine, said) = check(None, None).await;
    assert!(!fine && said.contains("--heartbeat 0ns is out of range"), "{said}");
    assert!(check(None, Some("5s")).await.0, "the environment wins over the file");
    assert!(check(Some("--heartbeat=5s"), None).await.0, "a flag wins over the file");
    let (fine, said) = check(Some("--heartbeat=5s"), Some("0s")).await;
    assert!(fine, "a flag wins over the environment: {said}");

    std::fs::write(&file, "max-conections = 3\n").unwrap();
    let (fine, said) = check(None, None).await;
    assert!(
        !fine && said.contains("relay.toml: there is no setting max-conections; perhaps max-connections"),
        "{said}"
    );
}

#[tokio::test]
async fn a_subject_is_listed_kicked_and_revoked() {
    let keys = tempdir().unwrap();
    let minted = Minted::new(Algorithm::EdDsa, "first", [7; 32], None).unwrap();
    std::fs::write(keys.path().join("keys"), minted.public.unwrap()).unwrap();
    let lab = Lab::new(|config| config.auth.auth_keys = Some(keys.path().join("keys"))).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let signing = Keys::parse(minted.private.as_bytes()).unwrap();
    let client = |subject: &str| {
        let mut claims = Claims::new(subject, now + 600);
        claims.iat = Some(now);
        claims.documents = [("d".parse().unwrap(), Access::Write)].into_iter().collect();
        let mut client = Client::new("d");
        client.replica.set_token(mint(&claims, &signing, None).unwrap().as_bytes());
        client
    };
    let (mut alice, mut ben) = (client("alice"), client("ben"));
    for client in [&mut alice, &mut ben] {
        client.connect(lab.relay.local_addr()).await;
        client.until_live().await;
    }
    let at = lab.admin();
    let all = get(at, "/admin/connections").await.ok();
    let subjects = all["connections"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap());
    assert_eq!(subjects.collect::<Vec<_>>(), ["alice", "ben"]);

    let kick = json!({ "subject": "alice", "retry_after_ms": 5000 }).to_string();
    assert_eq!(call(at, "POST", "/admin/connections/kick", kick.as_bytes()).await.ok()["ended"], 1);
    alice.until("sent away", |alice| !alice.is_connected()).await;
    alice.connect(lab.relay.local_addr()).await;
    alice.until_live().await;

    call(at, "POST", "/admin/revoke", b"{\"subject\": \"alice\"}").await.ok();
    alice.until("sent away", |alice| !alice.is_connected()).await;
    alice.connect(lab.relay.local_addr()).await;
    alice.until("sent away again", |alice| !alice.is_connected()).await;
    ben.put("key", 1);
    ben.until_synced().await;
    call(at, "POST", "/admin/revoke", b"{}").await.refused(400, "name one of");
    lab.relay.shutdown().await.unwrap();

    let lab = Lab::new(|_| {}).await;
    call(lab.admin(), "POST", "/admin/revoke", b"{\"token\": \"x\"}").await.refused(409, "--auth-keys");
    lab.relay.shutdown().await.unwrap();
}
