//! Beside what the standard library has.

use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_map_does_what_a_btree_map_does(steps in prop::collection::vec((0u8..9, 0u16..400, any::<u8>()), 0..1500)) {
        let mut map = Map::new();
        let mut model = BTreeMap::new();
        for (what, key, value) in steps {
            match what {
                0..=3 => {
                    map.insert(key, value);
                    model.insert(key, value);
                }
                4 => {
                    prop_assert_eq!(map.insert_new(key, value), !model.contains_key(&key));
                    model.entry(key).or_insert(value);
                }
                5 | 6 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                7 => *map.get_or_insert_with(key, || value) = *model.entry(key).or_insert(value),
                8 if value == 4 => {
                    map.retain(|key, _| key % 3 != 0);
                    model.retain(|key, _| key % 3 != 0);
                }
                _ => {
                    let end = key.saturating_add(u16::from(value));
                    prop_assert!(map.range(key..=end).eq(model.range(key..=end)));
                    prop_assert!(map.range(key..).rev().eq(model.range(key..).rev()));
                    prop_assert!(map.range(..key).eq(model.range(..key)));
                }
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.locate_any(&key), map.locate(&key), "web pages find the same place");
            prop_assert_eq!(map.last().map(|last| last.0), model.last_key_value().map(|last| *last.0));
            if model.range(key..).next().is_none() {
                map.append(key, value);
                model.insert(key, value);
            }
            prop_assert!(map.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
        }
        prop_assert!(map.iter().eq(model.iter()));
        prop_assert!(map.iter().rev().eq(model.iter().rev()));
        prop_assert!(map.into_iter().eq(model));
    }

    #[test]
    fn what_is_kept_stays_in_its_order(mut items in prop::collection::vec(any::<u8>(), 0..50)) {
        let mut kept = items.clone();
        kept.retain(|item| item % 3 != 0);
        retain_short(&mut items, &mut |item| *item % 3 != 0);
        prop_assert_eq!(items, kept);
    }

    #[test]
    fn sorting_sorts(mut items in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut model = items.clone();
        model.sort_unstable();
        let mut heap = items.clone();
        sort_by(&mut items, Ord::cmp);
        prop_assert_eq!(&items, &model);
        heap_sort(heap.len(), &mut Sorting { items: &mut heap, compare: Ord::cmp });
        prop_assert_eq!(heap, model);
    }
}

#[test]
fn appending_fills_chunks() {
    let mut map: Map<u32, ()> = (0..10_000).map(|key| (key, ())).collect();
    assert_eq!(map.chunks.len(), 10_000_usize.div_ceil(CHUNK));
    for key in 10_000..20_000 {
        map.append(key, ());
    }
    assert_eq!((map.chunks.len(), map.len()), (20_000_usize.div_ceil(CHUNK), 20_000));
    assert!(map.keys().copied().eq(0..20_000));
}

#[test]
fn a_key_is_renamed_where_it_is() {
    let mut map: Map<u32, u32> = (0..1000).map(|key| (10 * key, key)).collect();
    for key in (0..1000).step_by(7) {
        map.rename(&(10 * key), 10 * key + 9);
    }
    assert!(map.values().copied().eq(0..1000));
    for key in 0..1000 {
        let renamed = key % 7 == 0;
        assert_eq!(map.get(&(10 * key)), (!renamed).then_some(&key));
        assert_eq!(map.get(&(10 * key + 9)), renamed.then_some(&key));
    }
}

#[test]
fn groups_hold_every_item_in_its_order() {
    let items = [(7u32, 2u32), (5, 0), (1, 2), (9, 3), (4, 0)];
    let groups = Groups::of(5, &items);
    let bounds = |group| {
        let (start, end) = groups.bounds(group);
        &groups.items[start..end]
    };
    assert_eq!([0, 1, 2, 3, 4].map(bounds), [&[5, 4][..], &[], &[7, 1], &[9], &[]]);
    assert_eq!(Groups::of(0, &[]).items, [0u32; 0]);
}
