//! Puts the functions of a module into an order in which like follows like.
//!
//! Gzip finds repetitions only within the last 32 KiB and pays more for those that are far away, while a compiler writes functions in
//! the order in which it comes across them. Where the copies of one generic function, the readers of one format and the clean-up of
//! like types are neighbours, the module is a fiftieth smaller on its way to a page.
//!
//! The module is not rewritten here: functions are renamed to numbers, and the optimiser sorts by name.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result, bail};

/// Two functions are alike as far as they have pieces of code of this many bytes in common: about two instructions.
const PIECE: usize = 6;

/// What occurs in more functions than this says nothing about any two of them.
const COMMON: usize = 200;

/// How much of the code before a place counts, in bytes. What is nearest is cheapest to refer to.
const WINDOW: usize = 8_000;

/// What a function is compared by grows with its size; this keeps the smallest, which are alike by chance, from coming first.
const SMALL: usize = 20;

const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;

/// The module with its functions named by their numbers in the new order, in as many digits each.
pub(crate) fn named_by_order(module: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader { rest: module };
    let mut named = reader.take(8)?.to_vec();
    let (mut imported, mut bodies) = (0, Vec::new());
    while !reader.rest.is_empty() {
        let before = reader.rest;
        let id = reader.take(1)?[0];
        let len = reader.number()?;
        let mut section = Reader { rest: reader.take(len)? };
        match id {
            IMPORTS => imported = section.imported_functions()?,
            CODE => bodies = (0..section.number()?).map(|_| section.bytes()).collect::<Result<_>>()?,
            CUSTOM if section.bytes()? == b"name" => continue,
            _ => {}
        }
        named.extend_from_slice(&before[..before.len() - reader.rest.len()]);
    }

    let mut ranks = vec![0; bodies.len()];
    for (rank, function) in order(&bodies).into_iter().enumerate() {
        ranks[function] = rank;
    }
    let mut names = Vec::new();
    put_number(&mut names, ranks.len());
    for (function, rank) in ranks.iter().enumerate() {
        put_number(&mut names, imported + function);
        put_bytes(&mut names, format!("{rank:06}").as_bytes());
    }
    let mut section = Vec::new();
    put_bytes(&mut section, b"name");
    section.push(1);
    put_bytes(&mut section, &names);
    named.push(CUSTOM);
    put_bytes(&mut named, &section);
    Ok(named)
}

/// The functions, each followed by the one that has most of its pieces in common with what precedes it.
fn order(bodies: &[&[u8]]) -> Vec<usize> {
    let (pieces, holders) = shared_pieces(bodies);
    let size = |function: usize| bodies[function].len();
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    // How often each piece is in the window, and how many of each function's pieces are.
    let mut present = vec![0u32; holders.len()];
    let mut shared = vec![0usize; bodies.len()];
    let (mut window, mut window_size) = (VecDeque::new(), 0);
    while !left.is_empty() {
        // Compared as fractions; the last of equals is the first of the largest.
        let likest = |a: &usize, b: &usize| {
            let share = |function: usize, other: usize| shared[function] * (pieces[other].len() + SMALL);
            share(*a, *b).cmp(&share(*b, *a)).then(size(*a).cmp(&size(*b))).then(b.cmp(a))
        };
        let Some(place) = (0..left.len()).max_by(|a, b| likest(&left[*a], &left[*b])) else { break };
        let next = left.remove(place);
        order.push(next);
        window.push_back(next);
        window_size += size(next);
        for piece in &pieces[next] {
            present[*piece] += 1;
            if present[*piece] == 1 {
                holders[*piece].iter().for_each(|holder| shared[*holder] += 1);
            }
        }
        while window_size > WINDOW && window.len() > 1 {
            let Some(gone) = window.pop_front() else { break };
            window_size -= size(gone);
            for piece in &pieces[gone] {
                present[*piece] -= 1;
                if present[*piece] == 0 {
                    holders[*piece].iter().for_each(|holder| shared[*holder] -= 1);
                }
            }
        }
    }
    order
}

/// By function the pieces that others have as well, and by piece the functions that have it.
fn shared_pieces(bodies: &[&[u8]]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let mut found: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (function, body) in bodies.iter().enumerate() {
        for piece in body.windows(PIECE) {
            let holders = found.entry(piece).or_default();
            if holders.last() != Some(&function) {
                holders.push(function);
            }
        }
    }
    let holders: Vec<Vec<usize>> = found.into_values().filter(|found| (2..=COMMON).contains(&found.len())).collect();
    let mut pieces = vec![Vec::new(); bodies.len()];
    for (piece, holders) in holders.iter().enumerate() {
        holders.iter().for_each(|holder| pieces[*holder].push(piece));
    }
    (pieces, holders)
}

/// Reads what modules are made of.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).context("the module ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number in the module is too long")
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.number()?;
        self.take(len)
    }

    fn imported_functions(&mut self) -> Result<usize> {
        let mut functions = 0;
        for _ in 0..self.number()? {
            self.bytes()?;
            self.bytes()?;
            match self.take(1)?[0] {
                0 => {
                    self.number()?;
                    functions += 1;
                }
                kind => bail!("the module imports something of kind {kind}: only functions are expected"),
            }
        }
        Ok(functions)
    }
}

fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_like() {
        let bodies: [&[u8]; 5] = [b"abcdefghijkl", b"0123456789", b"abcdefghijk", b"x123456789", b"zz"];
        assert_eq!(order(&bodies), [0, 2, 1, 3, 4]);
    }

    #[test]
    fn functions_are_named_by_their_place_and_the_rest_stays() {
        let bodies: [&[u8]; 3] = [b"0123456789", b"abcdefghijkl", b"01234567"];
        let mut code = vec![3];
        bodies.iter().for_each(|body| put_bytes(&mut code, body));
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        // One import of a function, "m" "f".
        for (id, section) in
            [(IMPORTS, &b"\x01\x01m\x01f\0\0"[..]), (CODE, &code), (CUSTOM, b"\x04nameold"), (CUSTOM, b"\x01xkept")]
        {
            module.push(id);
            put_bytes(&mut module, section);
        }
        let named = named_by_order(&module).unwrap();
        let holds = |part: &[u8]| named.windows(part.len()).any(|window| window == part);
        assert!(holds(b"\x03\x01\x06000001\x02\x06000000\x03\x06000002"));
        assert!(holds(&code) && holds(b"\x01xkept") && !holds(b"old"));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert!(named_by_order(b"\0asm\x01\0\0\0\x0a\x05\x01").is_err());
        assert!(named_by_order(b"\0as").is_err());
    }
}
