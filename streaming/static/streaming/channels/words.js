/** Refusals, for people. */
import { gettext } from "../map/gettext.js";

const WORDS = {
  unauthorized: gettext("You may not do this."),
  "token expired": gettext("The token has expired."),
  "rate limited": gettext("Too much at once; it is tried again."),
  "too many channels joined": gettext("This connection has joined as many topics as it may."),
  "unmatched topic": gettext("There is no such topic here, or it is not joined."),
  "bad topic": gettext("This cannot be the name of a topic."),
  "reserved event": gettext("Events of this name are the protocol's own."),
  "join crashed": gettext("The server failed; it is in its log."),
  channel_crash: gettext("The channel failed on the server; it is in its log."),
  redis_unavailable: gettext("Redis does not answer; nothing was told to anybody."),
  timeout: gettext("No answer in time."),
  kicked: gettext("An operator has ended this."),
};

/** @param {{reason?: string, detail?: string} | undefined} refusal the response of a reply that is no `ok` */
export function inWords(refusal) {
  const { reason, detail } = refusal ?? {};
  const words = Object.hasOwn(WORDS, reason ?? "") ? WORDS[reason] : (reason ?? gettext("It was refused."));
  return detail ? `${words} (${detail})` : words;
}
