//! A project outside the tree that uses the npm package as users get it: packed, installed from the archive, nothing linked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::process::{npm, run};
use crate::{repo, setup, wasm};

/// A folder with `node_modules/weftline` in it.
pub(crate) struct Consumer {
    pub(crate) dir: PathBuf,
}

impl Consumer {
    /// Packs the package and installs it, once per process.
    pub(crate) fn ensure() -> Result<&'static Self> {
        static INSTALLED: OnceLock<Consumer> = OnceLock::new();
        if let Some(consumer) = INSTALLED.get() {
            return Ok(consumer);
        }
        let consumer = Self::install()?;
        Ok(INSTALLED.get_or_init(|| consumer))
    }

    fn install() -> Result<Self> {
        let archive = pack()?;
        let dir = repo::target().join("npm/consumer");
        empty(&dir)?;
        fs::write(dir.join("package.json"), "{ \"name\": \"consumer\", \"private\": true, \"type\": \"module\" }\n")?;
        run(npm(&dir).args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]).arg(&archive))?;
        Ok(Self { dir })
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Bundles the page in the folder `app` of the project for production, without a plugin and without configuration, and returns
    /// the folder that would be served.
    pub(crate) fn bundle(&self, app: &str) -> Result<PathBuf> {
        let out = self.dir.join(app).join("dist");
        let mut vite = setup::tool("node_modules/vite/bin/vite.js")?;
        vite.current_dir(self.dir.join(app))
            .args(["build", "--logLevel", "warn", "--emptyOutDir", "--outDir"])
            .arg(&out);
        run(&mut vite)?;
        Ok(out)
    }
}

/// The archive that would be published.
fn pack() -> Result<PathBuf> {
    wasm::ensure_package()?;
    let dir = repo::target().join("npm/archive");
    empty(&dir)?;
    // The package is built; its scripts must not build it another way.
    run(npm(&repo::wasm()).args(["pack", "--ignore-scripts", "--silent", "--pack-destination"]).arg(&dir))?;
    let mut packed = fs::read_dir(&dir)?;
    let archive = packed.next().context("npm pack wrote nothing")??;
    Ok(archive.path())
}

/// An empty folder, whatever was there.
fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}
