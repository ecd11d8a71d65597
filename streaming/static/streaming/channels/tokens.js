/** Channel tokens, from this server, for whoever is logged in or for anybody if the server is open. */

import { gettext, interpolate } from "../map/gettext.js";

export class TokenRefused extends Error {
  /** @param {string} message @param {number} status of the answer, 0 without one */
  constructor(message, status = 0) {
    super(message);
    /** Whether a topic that asks for no token may be joined all the same. */
    this.final = status !== 401 && status !== 403;
  }
}

/** @param {{token_url: string, csrf: string}} config @param {string} channel @param {string} id @returns {Promise<string>} */
export async function askForToken({ token_url, csrf }, channel, id) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf };
  let answer;
  try {
    answer = await fetch(token_url, { method: "POST", headers, body: JSON.stringify({ channel, id }), credentials: "same-origin" });
  } catch {
    throw new TokenRefused(gettext("The server does not answer."));
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new TokenRefused(body.message ?? interpolate(gettext("No token: HTTP %(status)s."), { status: answer.status }), answer.status);
  return body.token;
}
