/**
 * The entry of the npm package `geostream-client`: the client library, which finds MessagePack and zstd by the names of their packages.
 * They are loaded when they are first needed, and bundlers put them into chunks of their own. A page that has neither a bundler nor an
 * import map uses `geostream.js`.
 */
import { GeoStreamClient as Client } from "./geostream.js";

/** @import { ClientOptions } from "./geostream.js" */

export * from "./geostream.js";

export class GeoStreamClient extends Client {
  /** @param {string | URL} url absolute, or relative to the page @param {ClientOptions} [options] */
  constructor(url, options = {}) {
    super(url, { msgpack: () => import("@msgpack/msgpack"), fzstd: () => import("fzstd"), ...options });
  }
}
