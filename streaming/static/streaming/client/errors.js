/** The one error class of the client: every refusal carries the server's stable code. */
export class GeoStreamError extends Error {
  /**
   * @param {string} code a code of the server's error table, or `connection_lost`, `closed`, `timeout`
   * @param {string} message for people
   * @param {Record<string, any>} [conditions] of the subscription that were refused
   */
  constructor(code, message, conditions) {
    super(message);
    this.name = "GeoStreamError";
    this.code = code;
    this.conditions = conditions;
  }
}
