//! Generates the JavaScript bindings of a module: `xtask-bindgen MODULE.wasm OUT_DIR`.
//!
//! The generator must have exactly the version of the `wasm-bindgen` crate that the module was built with. As a library it is pinned
//! beside that crate in the workspace manifest and by the lock file, so the two cannot drift apart as an installed tool can.
//!
//! Then it *snips*: a panic in the module is a trap, whose message nobody sees, so what would put the message together is replaced by
//! the trap itself. The optimiser then drops what only led there. That is a fifteenth of the module. Where in the source a panic
//! would have been is blanked in the data, too: a hundredth.
//!
//! A program of its own and not a module of `xtask`, because the generator is by far the heaviest dependency of the tasks, and most
//! of them do not need it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use walrus::ir::Value;
use walrus::{ConstExpr, Data, DataKind, FunctionBuilder, FunctionId, FunctionKind, Module};
use wasm_bindgen_cli_support::Bindgen;

/// What only panics reach, as parts of the functions' names: the panics themselves, and text formatting, which the module uses for
/// nothing else. A name that is missed costs some bytes; the tests of the package would trap if one were wrong.
const ONLY_FOR_PANICS: [&str; 12] = [
    "::fmt",
    "::panicking::",
    "slice_error_fail",
    "slice_index_fail",
    "expect_failed",
    "unwrap_failed",
    "assert_failed",
    "panic_already",
    "capacity_overflow",
    "handle_error",
    "::unicode::printable",
    "::unicode::unicode_data::grapheme_extend",
];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let module = arguments.next().context("the first argument is the module")?;
    let out_dir = arguments.next().context("the second argument is the folder to write to")?;

    Bindgen::new()
        .input_path(&module)
        .web(true)?
        .typescript(true)
        .generate(&out_dir)
        .with_context(|| format!("cannot generate bindings of {}", module.display()))?;
    let name = module.file_stem().context("the module has no name")?.to_string_lossy();
    snip(&out_dir.join(format!("{name}_bg.wasm")))
}

fn snip(path: &Path) -> Result<()> {
    let mut module = Module::from_file(path)?;
    let snipped: Vec<(FunctionId, FunctionKind)> = module
        .funcs
        .iter_local()
        .filter(|(id, _)| {
            let name = module.funcs.get(*id).name.as_deref().unwrap_or_default();
            ONLY_FOR_PANICS.iter().any(|part| name.contains(part))
        })
        .map(|(id, function)| (id, function.ty(), function.args.clone()))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(id, ty, args)| {
            let (params, results) = module.types.params_results(ty);
            let (params, results) = (params.to_vec(), results.to_vec());
            let mut body = FunctionBuilder::new(&mut module.types, &params, &results);
            body.func_body().unreachable();
            (id, FunctionKind::Local(body.local_func(args)))
        })
        .collect();
    ensure!(!snipped.is_empty(), "nothing was snipped: the module's functions have no names, or others than expected");
    for (id, kind) in snipped {
        module.funcs.get_mut(id).kind = kind;
    }
    let data: Vec<_> = module.data.iter().map(Data::id).collect();
    for id in data {
        blank_locations(module.data.get_mut(id))?;
    }
    module.emit_wasm_file(path)
}

/// Blanks the places in the source that panics would name, and the names of the files.
///
/// A place is four words: where the file's name is, how long it is, line, column. What points to text that ends like such a name,
/// with that length, is nothing else.
fn blank_locations(data: &mut Data) -> Result<()> {
    let DataKind::Active { offset: ConstExpr::Value(Value::I32(start)), .. } = data.kind else { return Ok(()) };
    let start = start as u32 as usize;
    let mut found: Vec<(usize, Range<usize>)> = Vec::new();
    for at in (start.next_multiple_of(4) - start..data.value.len().saturating_sub(15)).step_by(4) {
        let word = |number: usize| -> Result<usize> {
            Ok(u32::from_le_bytes(data.value[at + 4 * number..][..4].try_into()?) as usize)
        };
        let (Some(name), len) = (word(0)?.checked_sub(start), word(1)?) else { continue };
        if data.value.get(name..name.saturating_add(len)).is_some_and(|name| name.ends_with(b".rs")) {
            found.push((at, name..name + len));
        }
    }
    for (at, name) in found {
        data.value[at..at + 16].fill(0);
        data.value[name].fill(0);
    }
    Ok(())
}
