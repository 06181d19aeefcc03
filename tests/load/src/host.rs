//! Servers as processes: started on one core, watched through what the system tells of them, and killed at the end.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};
use tempfile::TempDir;

/// What is measured is what the relay can do, and not how much it lets one client do. What it does to keep count of it, it does.
const BOUNDLESS: &[&str] = &[
    "--max-connections=100000",
    "--max-delta-rate=1000000",
    "--max-byte-rate=1GiB",
    "--max-document-delta-rate=1000000",
    "--max-document-byte-rate=1GiB",
];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The relay, with its default store.
    Weftline,
    /// The least that a server in Rust can be.
    Raw,
    /// The same in Node.
    Ws,
    /// The server of y-websocket.
    YWebsocket,
    /// Hocuspocus.
    Hocuspocus,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().expect("no kind is hidden").get_name())
    }
}

/// What is needed to start servers.
pub(crate) struct Host {
    pub(crate) relay: PathBuf,
    pub(crate) servers: PathBuf,
    /// How many files a process may have open.
    pub(crate) files: u64,
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Removed with what the server keeps in it, after it.
    _store: TempDir,
}

impl Host {
    /// Starts a server on the first core that this process may use, and leaves the last one to this process.
    pub(crate) fn start(&self, kind: Kind, arguments: &[&str]) -> Result<Server> {
        let store = tempfile::tempdir()?;
        let mut command = match kind {
            Kind::Weftline => {
                let mut command = Command::new(&self.relay);
                command.args(["--listen", "127.0.0.1:0", "--log", "warn"]).args(BOUNDLESS).args(arguments);
                command.arg("--store").arg(store.path().join("relay.db"));
                command
            }
            Kind::Raw => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("serve");
                command
            }
            Kind::Ws | Kind::YWebsocket | Kind::Hocuspocus => {
                let mut command = Command::new("node");
                command.current_dir(&self.servers).arg(format!("{kind}.mjs"));
                command
            }
        };
        let cores = Cores::of_this_process()?;
        pin(cores.server)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        pin(cores.load)?;
        let mut child = child.with_context(|| format!("cannot start {kind}"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let Some(line) = lines.next().transpose()? else { bail!("{kind} ended before it listened") };
            if let Some((_, address)) = line.split_once("listening on ws://") {
                break address.trim().parse()?;
            }
        };
        // What it says later is of no interest, but must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Server { child, address, _store: store })
    }
}

impl Server {
    /// The processor time that it has used, in the system and in itself.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name, which may hold anything, ends with the last parenthesis; the times are the 14th and the 15th field.
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let field =
            |number: usize| fields.split_whitespace().nth(number - 3).and_then(|field| field.parse::<f64>().ok());
        let (Some(user), Some(system)) = (field(14), field(15)) else { bail!("no times in stat") };
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")? as f64;
        Ok(Duration::from_secs_f64((user + system) / per_second))
    }

    /// The memory that it has resident, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most that it has ever had resident.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib << 10)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: the server ended"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done here about a process that cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who runs where.
struct Cores {
    server: CpuSet,
    load: CpuSet,
}

impl Cores {
    fn of_this_process() -> Result<Self> {
        // After the first server this process has only its own core left.
        static ALLOWED: std::sync::OnceLock<CpuSet> = std::sync::OnceLock::new();
        let now = sched_getaffinity(Pid::this())?;
        let allowed = ALLOWED.get_or_init(|| now);
        let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
        let (Some(first), Some(last)) = (cores.first(), cores.last()) else { bail!("no core to run on") };
        let only = |core: usize| {
            let mut set = CpuSet::new();
            set.set(core).map(|()| set)
        };
        Ok(Self { server: only(*first)?, load: only(*last)? })
    }
}

fn pin(cores: CpuSet) -> Result<()> {
    sched_setaffinity(Pid::this(), &cores).context("cannot choose a core")
}
