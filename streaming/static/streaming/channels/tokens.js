/** Channel tokens, from this server, for whoever is logged in or for anybody if the server is open. */

export class TokenRefused extends Error {}

/** @param {{token_url: string, csrf: string}} config @param {string} channel @param {string} id @returns {Promise<string>} */
export async function askForToken({ token_url, csrf }, channel, id) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf };
  let answer;
  try {
    answer = await fetch(token_url, { method: "POST", headers, body: JSON.stringify({ channel, id }), credentials: "same-origin" });
  } catch {
    throw new TokenRefused("The server does not answer.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new TokenRefused(body.message ?? `No token: HTTP ${answer.status}.`);
  return body.token;
}
