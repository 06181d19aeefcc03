// Paths as keys: the text of a step names it among its siblings, for the caches that hang on the tree of containers.

import type { ElementId, Kind, PathStep } from './types.js';

/** The kinds by their number, for those that look for every container under one key. */
export const ALL_KINDS: readonly Kind[] = ['register', 'flag', 'counter', 'set', 'map', 'list', 'text'];

/** The name of a step among its siblings. */
export function stepName(step: PathStep): string {
  if ('element' in step) return elementName(step.element);
  return 'root' in step ? childName(step.root, step.kind) : childName(step.key, step.kind);
}

/** The name of the container of a kind under a key, or of a root. */
export function childName(key: string, kind: Kind): string {
  return `${kind}/${key}`;
}

/** The name of a list element. */
export function elementName(id: ElementId): string {
  return `element/${id}`;
}

/** What a step stands for in its parent: the key or the id. */
export function slotOf(step: PathStep): string {
  if ('element' in step) return step.element;
  return 'root' in step ? step.root : step.key;
}
