// The least that a page does with the package: open a replica, which loads the module, the storage and the transport; edit, and wait
// until the edit is safe.
import { Replica } from 'weftline';

const relay = new URLSearchParams(location.search).get('relay');

Replica.open('minimal', { relay }).then(async (replica) => {
  await replica.synced();
  replica.counter('visits').add(1);
  await replica.synced();
  document.title = `visit ${replica.counter('visits').value}`;
});
