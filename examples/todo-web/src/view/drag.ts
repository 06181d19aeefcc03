// Reordering by dragging a row's handle, with a mouse, a pen or a finger.
//
// While a row is dragged nothing moves in the document: the row follows the pointer and the others make room by a
// translation each. Only the drop tells the caller where the row now belongs, so a cancelled drag leaves no trace.

export interface Drop {
  readonly target: Element;
  readonly side: 'before' | 'after';
}

export interface DragListener {
  start(): void;
  /** Without a drop the row stays where it was. */
  end(row: HTMLElement, drop: Drop | undefined): void;
}

/** So near to the edge of the window the page scrolls along. */
const SCROLL_ZONE_PX = 60;
const SCROLL_STEP_PX = 12;

export function dragRows(list: HTMLElement, listener: DragListener): void {
  list.addEventListener('pointerdown', (event) => {
    const handle = event.target instanceof Element ? event.target.closest<HTMLElement>('.handle') : null;
    const row = handle?.closest('li');
    if (!handle || !row || !event.isPrimary || event.button !== 0) return;
    handle.setPointerCapture(event.pointerId);
    new Drag(list, row, handle, event, listener);
  });
}

class Drag {
  readonly #list: HTMLElement;
  readonly #row: HTMLElement;
  readonly #listener: DragListener;
  readonly #rows: HTMLElement[];
  readonly #middles: number[];
  readonly #from: number;
  readonly #height: number;
  readonly #startY: number;
  readonly #finished = new AbortController();
  #clientY: number;
  #to: number;
  #scrolling = 0;

  constructor(list: HTMLElement, row: HTMLElement, handle: HTMLElement, event: PointerEvent, listener: DragListener) {
    this.#list = list;
    this.#row = row;
    this.#listener = listener;
    this.#rows = [...list.children] as HTMLElement[];
    // Positions in the document, not in the window, so that scrolling in between does not matter.
    const boxes = this.#rows.map((element) => element.getBoundingClientRect());
    this.#middles = boxes.map((box) => box.top + box.height / 2 + scrollY);
    this.#from = this.#to = this.#rows.indexOf(row);
    this.#height = row.getBoundingClientRect().height;
    this.#clientY = event.clientY;
    this.#startY = event.clientY + scrollY;

    const { signal } = this.#finished;
    handle.addEventListener('pointermove', (move) => this.#moveTo(move.clientY), { signal });
    handle.addEventListener('pointerup', () => this.#end(true), { signal });
    handle.addEventListener('lostpointercapture', () => this.#end(false), { signal });
    addEventListener('scroll', () => this.#moveTo(this.#clientY), { signal });
    addEventListener('keydown', (key) => key.key === 'Escape' && this.#end(false), { signal });
    list.classList.add('dragging');
    row.classList.add('dragged');
    listener.start();
    this.#scrolling = requestAnimationFrame(() => this.#scrollAlong());
  }

  #moveTo(clientY: number): void {
    this.#clientY = clientY;
    const distance = clientY + scrollY - this.#startY;
    this.#row.style.translate = `0 ${distance}px`;

    const middle = (this.#middles[this.#from] ?? 0) + distance;
    let to = this.#from;
    while (to > 0 && middle < (this.#middles[to - 1] ?? 0)) to -= 1;
    while (to < this.#rows.length - 1 && middle > (this.#middles[to + 1] ?? 0)) to += 1;
    if (to === this.#to) return;
    this.#to = to;
    this.#rows.forEach((row, index) => {
      if (row === this.#row) return;
      const up = index > this.#from && index <= to;
      const down = index < this.#from && index >= to;
      row.style.translate = up ? `0 ${-this.#height}px` : down ? `0 ${this.#height}px` : '';
    });
  }

  #scrollAlong(): void {
    const fromTop = this.#clientY;
    const fromBottom = innerHeight - this.#clientY;
    if (fromTop < SCROLL_ZONE_PX) scrollBy(0, -SCROLL_STEP_PX);
    else if (fromBottom < SCROLL_ZONE_PX) scrollBy(0, SCROLL_STEP_PX);
    this.#scrolling = requestAnimationFrame(() => this.#scrollAlong());
  }

  #end(dropped: boolean): void {
    this.#finished.abort();
    cancelAnimationFrame(this.#scrolling);
    this.#list.classList.remove('dragging');
    this.#row.classList.remove('dragged');
    for (const row of this.#rows) row.style.translate = '';
    const target = this.#rows[this.#to];
    const moved = dropped && target !== undefined && this.#to !== this.#from;
    this.#listener.end(this.#row, moved ? { target, side: this.#to > this.#from ? 'after' : 'before' } : undefined);
  }
}
