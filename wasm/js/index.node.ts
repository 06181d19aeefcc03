// Weftline for Node: collaborative documents that work offline and sync through a relay.
//
// Importing this does nothing yet; the engine is loaded by the first `Replica.open`.

import { loadEngine } from './load.node.js';
import { ReplicaBase, openReplica, type OpenOptions } from './replica.js';

export * from './api.js';

/** A replica of one document. */
export class Replica extends ReplicaBase {
  /** Opens the document of this name, with everything that is stored of it. */
  static open(name: string, options: OpenOptions = {}): Promise<Replica> {
    return openReplica(Replica, loadEngine, name, options);
  }
}
