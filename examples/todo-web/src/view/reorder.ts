// Puts the children of an element into an order with the fewest moves.
//
// Moving a node in the document takes the focus and the caret away from it. So the child that holds the focus stays
// where it is and all others are placed around it; of these, the longest run that is in order already stays too.

/** Makes `wanted` the children of `parent`. `pinned`, if it is a child already, is not touched. */
export function reorder(parent: Element, wanted: readonly Element[], pinned: Element | null): void {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();

  const staying = stays(parent, wanted, pinned);
  let next: Element | null = null;
  for (const element of wanted.toReversed()) {
    if (!staying.has(element)) parent.insertBefore(element, next);
    next = element;
  }
}

/** The largest set of children, with the pinned one, that are in the wanted order already. */
function stays(parent: Element, wanted: readonly Element[], pinned: Element | null): Set<Element> {
  const position = new Map([...parent.children].map((child, index) => [child, index]));
  const pin = pinned === null ? undefined : position.get(pinned);
  const pinAt = pinned === null || pin === undefined ? -1 : wanted.indexOf(pinned);

  // Longest increasing subsequence: `tails[n]` ends the best run of length n + 1 found so far.
  const tails: Element[] = [];
  const before = new Map<Element, Element | undefined>();
  const at = (element: Element) => position.get(element) ?? 0;
  wanted.forEach((element, index) => {
    const old = position.get(element);
    if (old === undefined) return;
    // Whoever is on the wrong side of the pinned child cannot stay.
    if (pin !== undefined && pinAt >= 0 && element !== pinned && index < pinAt !== old < pin) return;
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(tails[middle] as Element) < old) low = middle + 1;
      else high = middle;
    }
    before.set(element, tails[low - 1]);
    tails[low] = element;
  });

  const result = new Set<Element>();
  for (let element = tails.at(-1); element !== undefined; element = before.get(element)) result.add(element);
  return result;
}
