//! What can be reached from a module's exports: which functions, and which of its data.
//!
//! The linker keeps whole what the compiler gave it, and knows nothing of what is snipped afterwards. Asked to emit its
//! relocations, it tells every place where code or data refers to a function or to an object in the data. Followed from the
//! exports, without those in bodies that are snipped, they lead to all that is needed; the rest of the data is blanked. So are
//! sentences, which only panics are given.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const START: u8 = 8;
const CODE: u8 = 10;
const DATA: u8 = 11;

/// The table of symbols in the section `linking`.
const SYMBOL_TABLE: u8 = 8;
const FUNCTION_SYMBOL: u8 = 0;
const DATA_SYMBOL: u8 = 1;
const SECTION_SYMBOL: u8 = 3;
const UNDEFINED: usize = 0x10;
const EXPLICIT_NAME: usize = 0x40;

/// Something that can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// By its number.
    Function(usize),
    /// By the number of its symbol.
    Object(usize),
}

/// Blanks the data of `module` that cannot be reached, and says which functions can be. The bodies of those for which `is_snipped`
/// says so refer to nothing.
pub(crate) fn blank_unreachable(module: &mut [u8], is_snipped: impl Fn(usize) -> bool) -> Result<BTreeSet<usize>> {
    let layout = Layout::of(module)?;
    // Who is at a place, by where it begins.
    let functions: BTreeMap<usize, (usize, Item)> = layout
        .bodies
        .iter()
        .enumerate()
        .map(|(at, body)| (body.start, (body.end, Item::Function(layout.imported + at))))
        .collect();
    let mut objects: BTreeMap<usize, (usize, Item)> = BTreeMap::new();
    for (symbol, range) in layout.objects.iter().enumerate() {
        if let Some(range) = range.as_ref().filter(|range| !range.is_empty()) {
            let (end, item) = objects.entry(range.start).or_insert((range.end, Item::Object(symbol)));
            // Of several names for one object the longest counts.
            if *end < range.end {
                (*end, *item) = (range.end, Item::Object(symbol));
            }
        }
    }
    let at = |items: &BTreeMap<usize, (usize, Item)>, place: usize| {
        items.range(..=place).next_back().filter(|(_, (end, _))| place < *end).map(|(_, (_, item))| *item)
    };

    let mut references: BTreeMap<Item, BTreeSet<Item>> = BTreeMap::new();
    let mut reachable: BTreeSet<Item> = layout.roots.iter().map(|root| Item::Function(*root)).collect();
    for (place, to) in &layout.references {
        let to = match *to {
            // Another name for the same object.
            Item::Object(symbol) => {
                let Some(range) = &layout.objects[symbol] else { continue };
                at(&objects, range.start).unwrap_or(Item::Object(symbol))
            }
            function => function,
        };
        match at(&functions, *place).or_else(|| at(&objects, *place)) {
            Some(Item::Function(function)) if is_snipped(function) => {}
            Some(from) => drop(references.entry(from).or_default().insert(to)),
            // Who refers to it is not known.
            None => drop(reachable.insert(to)),
        }
    }
    let mut open: Vec<Item> = reachable.iter().copied().collect();
    while let Some(item) = open.pop() {
        for next in references.get(&item).into_iter().flatten() {
            if reachable.insert(*next) {
                open.push(*next);
            }
        }
    }

    // Objects may share bytes: those of one that is needed are written again.
    let whole = module.to_vec();
    for needed in [false, true] {
        for (start, (end, item)) in &objects {
            match (needed, reachable.contains(item) && !is_sentence(&whole[*start..*end])) {
                (false, false) => module[*start..*end].fill(0),
                (true, true) => module[*start..*end].copy_from_slice(&whole[*start..*end]),
                _ => {}
            }
        }
    }
    Ok(reachable
        .iter()
        .filter_map(|item| if let Item::Function(function) = item { Some(*function) } else { None })
        .collect())
}

/// Whether this is a sentence, or what one is put together from: whoever reads what the module says gets numbers and names.
fn is_sentence(object: &[u8]) -> bool {
    let soft = object.iter().filter(|byte| matches!(byte, b'a'..=b'z' | b' ')).count();
    object.len() >= 10 && 4 * soft >= 3 * object.len() && object.contains(&b' ')
}

/// Where things are in a module. Places count from its first byte.
#[derive(Default)]
struct Layout {
    imported: usize,
    bodies: Vec<Range<usize>>,
    /// The functions that are called from outside.
    roots: Vec<usize>,
    /// By symbol.
    objects: Vec<Option<Range<usize>>>,
    /// From which place, to what.
    references: Vec<(usize, Item)>,
}

impl Layout {
    fn of(module: &[u8]) -> Result<Self> {
        let mut layout = Self::default();
        let mut reader = Reader { bytes: module, at: 8 };
        let (mut starts, mut segments, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
        while reader.at < module.len() {
            let id = reader.byte()?;
            let len = reader.number()?;
            let start = reader.at;
            let mut section = Reader { bytes: module.get(..start + len).context("a section is cut off")?, at: start };
            reader.at += len;
            starts.push(start);
            match id {
                IMPORTS => layout.imported = section.imported_functions()?,
                EXPORTS => {
                    for _ in 0..section.number()? {
                        section.name()?;
                        let (kind, index) = (section.byte()?, section.number()?);
                        layout.roots.extend((kind == 0).then_some(index));
                    }
                }
                START => layout.roots.push(section.number()?),
                CODE => {
                    for _ in 0..section.number()? {
                        layout.bodies.push(section.part()?);
                    }
                }
                DATA => {
                    for _ in 0..section.number()? {
                        ensure!(section.number()? == 0, "a segment that is not placed in the memory");
                        ensure!(section.byte()? == 0x41, "a segment whose place is not a constant");
                        section.number()?;
                        ensure!(section.byte()? == 0x0b, "a segment whose place is computed");
                        segments.push(section.part()?);
                    }
                }
                CUSTOM => match section.name()? {
                    b"linking" => symbols = section.symbols()?,
                    b"reloc.CODE" | b"reloc.DATA" => {
                        let start = *starts.get(section.number()?).context("relocations of no section")?;
                        section.relocations(start, &symbols, &mut layout.references)?;
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        ensure!(!layout.references.is_empty(), "the module has no relocations: the linker was not asked to emit them");
        for symbol in symbols {
            layout.objects.push(match symbol {
                Some(Symbol::Object { segment, offset, size }) => {
                    let range: &Range<usize> = segments.get(segment).context("an object in no segment")?;
                    let start = range.start + offset;
                    ensure!(start + size <= range.end, "an object beyond its segment");
                    Some(start..start + size)
                }
                _ => None,
            });
        }
        Ok(layout)
    }
}

#[derive(Clone, Copy)]
enum Symbol {
    Function(usize),
    Object { segment: usize, offset: usize, size: usize },
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).context("the module ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    /// A number, also one that was padded so that the linker could change it; of a negative one the bits.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number in the module is too long")
    }

    /// Something behind its length: where it is.
    fn part(&mut self) -> Result<Range<usize>> {
        let len = self.number()?;
        let start = self.at;
        self.at += len;
        ensure!(self.at <= self.bytes.len(), "the module ends too early");
        Ok(start..self.at)
    }

    fn name(&mut self) -> Result<&'a [u8]> {
        let part = self.part()?;
        Ok(&self.bytes[part])
    }

    fn imported_functions(&mut self) -> Result<usize> {
        let mut functions = 0;
        for _ in 0..self.number()? {
            self.name()?;
            self.name()?;
            ensure!(self.byte()? == 0, "the module imports something that is no function");
            self.number()?;
            functions += 1;
        }
        Ok(functions)
    }

    /// The symbols, by number; of those that are neither functions nor data only that they are there.
    fn symbols(&mut self) -> Result<Vec<Option<Symbol>>> {
        ensure!(self.number()? == 2, "another version of the section `linking`");
        let mut symbols = Vec::new();
        while self.at < self.bytes.len() {
            let id = self.byte()?;
            let part = self.part()?;
            if id != SYMBOL_TABLE {
                continue;
            }
            let mut table = Reader { bytes: &self.bytes[..part.end], at: part.start };
            for _ in 0..table.number()? {
                symbols.push(table.symbol()?);
            }
        }
        Ok(symbols)
    }

    fn symbol(&mut self) -> Result<Option<Symbol>> {
        let kind = self.byte()?;
        let flags = self.number()?;
        let is_defined = flags & UNDEFINED == 0;
        Ok(match kind {
            DATA_SYMBOL => {
                self.name()?;
                if !is_defined {
                    return Ok(None);
                }
                Some(Symbol::Object { segment: self.number()?, offset: self.number()?, size: self.number()? })
            }
            SECTION_SYMBOL => {
                self.number()?;
                None
            }
            _ => {
                let index = self.number()?;
                if is_defined || flags & EXPLICIT_NAME != 0 {
                    self.name()?;
                }
                (kind == FUNCTION_SYMBOL).then_some(Symbol::Function(index))
            }
        })
    }

    /// The references of the section that begins at `start`.
    fn relocations(&mut self, start: usize, symbols: &[Option<Symbol>], to: &mut Vec<(usize, Item)>) -> Result<()> {
        for _ in 0..self.number()? {
            let kind = self.byte()?;
            let (place, symbol) = (start + self.number()?, self.number()?);
            // Those to addresses say how far behind the symbol.
            if matches!(kind, 3..=5 | 8 | 9 | 11 | 14..=17 | 21..=23 | 25) {
                self.number()?;
            }
            // Those to types name no symbol.
            if kind == 6 {
                continue;
            }
            match symbols.get(symbol).context("a reference to no symbol")? {
                Some(Symbol::Function(function)) => to.push((place, Item::Function(*function))),
                Some(Symbol::Object { .. }) => to.push((place, Item::Object(symbol))),
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind its length, which is below 128.
    fn part(bytes: &[u8]) -> Vec<u8> {
        [&[bytes.len() as u8], bytes].concat()
    }

    fn section(id: u8, bytes: &[u8]) -> Vec<u8> {
        [&[id][..], &part(bytes)].concat()
    }

    /// Four functions, the first of which is exported; three objects of four bytes.
    fn module() -> Vec<u8> {
        let body = part(&[0; 9]);
        let code = [&[4][..], &body, &body, &body, &body].concat();
        let data = [&[1, 0, 0x41, 0, 0x0b][..], &part(b"aaaabbbbcccc")].concat();
        let mut table = vec![7];
        for function in 0..4 {
            table.extend([FUNCTION_SYMBOL, 0, function, 1, b'f']);
        }
        for object in 0..3 {
            table.extend([DATA_SYMBOL, 0, 1, b'o', 0, 4 * object, 4]);
        }
        let linking = [&part(b"linking")[..], &[2, SYMBOL_TABLE], &part(&table)].concat();
        // Bodies begin at 2 and every 10; the first refers to the second and to the first object, the third to the third object.
        let of_code = [&part(b"reloc.CODE")[..], &[1, 3, 0, 4, 1, 4, 6, 4, 0, 4, 24, 6, 0]].concat();
        // The data begin at 6: the first object refers to the last function.
        let of_data = [&part(b"reloc.DATA")[..], &[2, 1, 2, 6, 3]].concat();
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(EXPORTS, &[1, 1, b'e', 0, 0]),
            section(CODE, &code),
            section(DATA, &data),
            section(CUSTOM, &linking),
            section(CUSTOM, &of_code),
            section(CUSTOM, &of_data),
        ]
        .concat()
    }

    fn holds(module: &[u8], part: &[u8]) -> bool {
        module.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn what_nothing_reachable_refers_to_is_blanked() {
        let mut module = module();
        let functions = blank_unreachable(&mut module, |_| false).unwrap();
        assert_eq!(functions, BTreeSet::from([0, 1, 3]));
        assert!(holds(&module, b"aaaa\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn what_is_snipped_refers_to_nothing() {
        let mut module = module();
        let functions = blank_unreachable(&mut module, |function| function == 0).unwrap();
        assert_eq!(functions, BTreeSet::from([0]));
        assert!(!holds(&module, b"aaaa") && !holds(&module, b"cccc"));
    }

    #[test]
    fn sentences_are_told_from_names_and_tables() {
        assert!(
            is_sentence(b"range end index ") && is_sentence(b"\x16slice index starts at \xc0\x0d but ends at \xc0\x00")
        );
        assert!(!is_sentence(b"snapshots") && !is_sentence(b"weftline/0.1.0") && !is_sentence(b"&./3=>?[]_ 67<"));
    }

    #[test]
    fn without_relocations_nothing_is_known() {
        let whole = module();
        let end = whole.windows(10).position(|window| window == b"reloc.CODE").unwrap() - 3;
        assert!(blank_unreachable(&mut whole[..end].to_vec(), |_| false).is_err());
        assert!(blank_unreachable(&mut whole[..whole.len() - 1].to_vec(), |_| false).is_err());
    }
}
