interface ImportMetaEnv {
  /** The relay of a page that is built for one place; see `address.ts`. */
  readonly VITE_RELAY_URL?: string;
}
