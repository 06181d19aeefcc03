//! Takes out of the module what no page needs: `xtask-snip MODULE.wasm SNIPPED.wasm`.
//!
//! A panic in the module is a trap, whose message nobody sees, so what would put the message together is replaced by the trap
//! itself. The optimiser then drops what only led there. That is a fifteenth of the module. So are functions that nothing can reach
//! any more, and their data is blanked (`reach`): the tables by which text is escaped, for example. What is left in the data for
//! panics, where in the source they would have been and their sentences, is blanked as well. And of what the linker exports, only
//! what JavaScript calls stays.
//!
//! A program of its own and not a module of `xtask`, because reading and writing modules is a heavy dependency, and most tasks do
//! not need it.

mod reach;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustc_demangle::demangle;
use walrus::ir::Value;
use walrus::{
    ConstExpr, CustomSection, Data, DataKind, ExportItem, Function, FunctionBuilder, FunctionId, FunctionKind, Module,
    ModuleConfig, passes,
};

/// What only panics reach, as parts of the functions' names: the panics themselves, and text formatting, which the module uses for
/// nothing else. The last is what no one reaches: whoever is lent a function as `&mut dyn FnMut` cannot call it by value, though its
/// table says how. A name that is missed costs some bytes; the tests of the package would trap if one were wrong.
const ONLY_FOR_PANICS: [&str; 13] = [
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
    "FnOnce::call_once{{vtable.shim}}",
];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let module = arguments.next().context("the first argument is the module")?;
    let snipped = arguments.next().context("the second argument is the module to write")?;

    let mut bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut config = ModuleConfig::new();
    config.generate_producers_section(false);
    let panics = only_for_panics(&config.parse(&bytes)?);
    ensure!(
        !panics.is_empty(),
        "nothing is only for panics: the module's functions have no names, or others than expected"
    );
    let reachable = reach::blank_unreachable(&mut bytes, |function| panics.contains(&function))?;
    let mut module = config.parse(&bytes)?;
    snip(&mut module, |function| panics.contains(&function) || !reachable.contains(&function))?;
    module.emit_wasm_file(snipped)
}

/// The numbers of the functions that only panics reach.
fn only_for_panics(module: &Module) -> BTreeSet<usize> {
    let is_for_panics = |function: &Function| {
        let name = demangle(function.name.as_deref().unwrap_or_default()).to_string();
        ONLY_FOR_PANICS.iter().any(|part| name.contains(part))
    };
    module.funcs.iter().enumerate().filter(|(_, function)| is_for_panics(function)).map(|(number, _)| number).collect()
}

fn snip(module: &mut Module, is_snipped: impl Fn(usize) -> bool) -> Result<()> {
    // What is exported besides functions and the memory are the linker's marks in it.
    let marks: Vec<_> = module
        .exports
        .iter()
        .filter(|export| matches!(export.item, ExportItem::Global(_)))
        .map(|export| export.id())
        .collect();
    for mark in marks {
        module.exports.delete(mark);
    }
    // What the linker says has served, and debuggers are not expected.
    let kept = |section: &dyn CustomSection| section.name() == "target_features";
    let served: Vec<_> = module.customs.iter().filter(|(_, section)| !kept(*section)).map(|(id, _)| id).collect();
    for section in served {
        module.customs.delete(section);
    }
    for function in module.funcs.iter_mut() {
        function.name = function.name.as_deref().map(|name| demangle(name).to_string());
    }
    let snipped: Vec<_> = module
        .funcs
        .iter()
        .enumerate()
        .filter(|(number, _)| is_snipped(*number))
        .filter_map(|(_, function)| match &function.kind {
            FunctionKind::Local(local) => Some((function.id(), local.ty(), local.args.clone())),
            _ => None,
        })
        .collect();
    let snipped: Vec<(FunctionId, FunctionKind)> = snipped
        .into_iter()
        .map(|(id, ty, args)| {
            let (params, results) = module.types.params_results(ty);
            let (params, results) = (params.to_vec(), results.to_vec());
            let mut body = FunctionBuilder::new(&mut module.types, &params, &results);
            body.func_body().unreachable();
            (id, FunctionKind::Local(body.local_func(args)))
        })
        .collect();
    for (id, kind) in snipped {
        module.funcs.get_mut(id).kind = kind;
    }
    let data: Vec<_> = module.data.iter().map(Data::id).collect();
    for id in data {
        blank_locations(module.data.get_mut(id))?;
    }
    passes::gc::run(module);
    Ok(())
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
