// The line by which whoever started a server learns where it listens.

export function announce(port) {
  console.log(`listening on ws://127.0.0.1:${port}`)
}
