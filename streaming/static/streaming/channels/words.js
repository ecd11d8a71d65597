/** Refusals, for people. */
const WORDS = {
  unauthorized: "You may not do this.",
  "token expired": "The token has expired.",
  "rate limited": "Too much at once; it is tried again.",
  "too many channels joined": "This connection has joined as many topics as it may.",
  "unmatched topic": "There is no such topic here, or it is not joined.",
  "bad topic": "This cannot be the name of a topic.",
  "reserved event": "Events of this name are the protocol's own.",
  "join crashed": "The server failed; it is in its log.",
  channel_crash: "The channel failed on the server; it is in its log.",
  redis_unavailable: "Redis does not answer; nothing was told to anybody.",
  timeout: "No answer in time.",
  kicked: "An operator has ended this.",
};

/** @param {{reason?: string, detail?: string} | undefined} refusal the response of a reply that is no `ok` */
export function inWords(refusal) {
  const { reason, detail } = refusal ?? {};
  const words = Object.hasOwn(WORDS, reason ?? "") ? WORDS[reason] : (reason ?? "It was refused.");
  return detail ? `${words} (${detail})` : words;
}
