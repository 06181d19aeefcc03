//! What a task needs and this machine may lack: found, installed where that can be done, named where it cannot.
//!
//! Each function looks for one thing and returns at once when it is there. Installed without asking: targets of the Rust toolchain,
//! packages from the lock files, and Debian packages if apt is there and we are allowed to use it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, npm, program, read, run};
use crate::repo;

/// The oldest Node that our tools and the npm package support.
const NODE: (u32, u32) = (20, 19);

/// A browser and one family of fonts that its pages look right in.
const DEBIAN_CHROMIUM: [&str; 2] = ["chromium", "fonts-liberation"];

/// Browsers are module hosts without threads.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// A microcontroller without an operating system: what compiles for it needs no `std`.
pub(crate) const BARE_TARGET: &str = "thumbv7em-none-eabi";

/// All that any task needs.
pub(crate) fn everything() -> Result<()> {
    rust_component("rustfmt", "fmt")?;
    rust_component("clippy", "clippy")?;
    rust_target(WASM_TARGET)?;
    rust_target(BARE_TARGET)?;
    node()?;
    for package in [repo::tools(), repo::wasm(), repo::todo_web(), repo::load_servers()] {
        npm_packages(&package)?;
    }
    chromium()?;
    eprintln!("everything is there");
    Ok(())
}

/// A target of the Rust toolchain.
pub(crate) fn rust_target(target: &str) -> Result<()> {
    let sysroot = read(program("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "this Rust toolchain has no standard library for {target}, and there is no rustup to add it: install it from where the toolchain came"
        );
    }
    run(program("rustup").args(["target", "add", target]))
}

/// The nightly toolchain, which some tools need. It is not installed without asking: it is large, and another one every day.
pub(crate) fn nightly(what_for: &str) -> Result<()> {
    if find("rustup").is_none() {
        bail!("{what_for} needs a nightly compiler, which is found through rustup, and there is no rustup");
    }
    if !answers(nightly_cargo().arg("--version")) {
        bail!(
            "{what_for} needs a nightly compiler: `rustup toolchain install nightly --component llvm-tools` installs it"
        );
    }
    Ok(())
}

/// `cargo` of the nightly toolchain.
pub(crate) fn nightly_cargo() -> Command {
    let mut command = program("rustup");
    command.args(["run", "nightly", "cargo"]);
    command
}

/// Whether a command can be run, and ends well.
pub(crate) fn answers(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A component of the Rust toolchain, by its name and the cargo command it brings: a minimal toolchain lacks both we use.
pub(crate) fn rust_component(component: &str, command: &str) -> Result<()> {
    // Asked for by running it: rustup puts a stand-in on the path whether or not the component is there.
    let there = cargo().args([command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "this Rust toolchain has no {component}, and there is no rustup to add it: install it from where the toolchain came"
        );
    }
    run(program("rustup").args(["component", "add", component]))
}

/// Node and npm; they are asked for and not installed, since there are too many ways people manage their versions.
pub(crate) fn node() -> Result<()> {
    let wanted = format!("Node {}.{} or newer", NODE.0, NODE.1);
    if find("node").is_none() {
        bail!("there is no Node: install {wanted} (nodejs.org, or the package nodejs of a recent system)");
    }
    let version = read(program("node").arg("--version"))?;
    let found = parse_node_version(&version).with_context(|| format!("node --version says {:?}", version.trim()))?;
    if found < NODE {
        bail!("this is Node {}, but the tools need {wanted}", version.trim());
    }
    if find("npm").is_none() {
        bail!("there is Node but no npm: install npm (on Debian: apt-get install npm)");
    }
    Ok(())
}

/// The npm packages that `package` locks, installed if the lock changed since the last time.
pub(crate) fn npm_packages(package: &Path) -> Result<()> {
    node()?;
    let lock_file = package.join("package-lock.json");
    let lock = fs::read(&lock_file).with_context(|| format!("cannot read {}", lock_file.display()))?;
    // A copy of the lock, written last: `npm ci` begins by emptying the folder, so an interrupted one leaves no copy.
    let installed = package.join("node_modules/.weftline-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(npm(package).args(["ci", "--no-audit", "--no-fund"]))?;
    fs::create_dir_all(package.join("node_modules"))?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}

/// The browser for tests: `CHROMIUM` if set, else what is on the path, else installed through apt.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(set) = env::var_os("CHROMIUM") {
        let Some(found) = find(&set.to_string_lossy()) else {
            bail!("CHROMIUM names {}, which is no program", set.to_string_lossy());
        };
        return Ok(found);
    }
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    apt_install(&DEBIAN_CHROMIUM)
        .context("the browser tests need Chromium: install Chromium or Google Chrome, or set CHROMIUM to its path")?;
    find_chromium().context("chromium was installed but is not on the path: set CHROMIUM to its path")
}

fn find_chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
    let bundle = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    names.into_iter().chain([bundle]).find_map(find)
}

/// Installs Debian packages, as root or through sudo.
fn apt_install(packages: &[&str]) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("there is no apt-get to install {} with", packages.join(" "));
    }
    let root = read(program("id").arg("-u"))?.trim() == "0";
    if !root && find("sudo").is_none() {
        bail!("installing {} needs root: run `apt-get install {}` as root", packages.join(" "), packages.join(" "));
    }
    let apt = |arguments: &[&str]| {
        let mut command = if root { program("env") } else { program("sudo") };
        if !root {
            command.arg("env");
        }
        // A question would wait for ever where nobody is there to answer it.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments).stdin(Stdio::inherit());
        command
    };
    run(&mut apt(&["update"]))?;
    run(apt(&["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// A program by name on the path, or by path.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let suffix = env::consts::EXE_SUFFIX;
    env::split_paths(&env::var_os("PATH")?)
        .flat_map(|dir| [dir.join(format!("{name}{suffix}")), dir.join(format!("{name}.cmd"))])
        .find(|path| path.is_file())
}

/// `v20.19.4` → (20, 19).
fn parse_node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A tool of `xtask/tools`, run by Node; the tool's packages are installed first.
pub(crate) fn tool(script: &str) -> Result<Command> {
    npm_packages(&repo::tools())?;
    let mut command = program("node");
    command.arg(repo::tools().join(script));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_compare_by_number() {
        assert_eq!(parse_node_version("v20.19.4\n"), Some((20, 19)));
        assert!(parse_node_version("v20.9.0").expect("a version") < NODE);
        assert!(parse_node_version("v22.0.0").expect("a version") > NODE);
        assert_eq!(parse_node_version("20"), None);
    }

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(find("cargo").is_some());
        assert_eq!(find("there-is-no-such-program"), None);
        assert_eq!(find("/no/such/program"), None);
    }
}
