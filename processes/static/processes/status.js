// The states of jobs, in words.
import { gettext } from "../streaming/map/gettext.js";

const WORDS = {
  accepted: gettext("waiting for a worker"),
  running: gettext("running"),
  successful: gettext("successful"),
  failed: gettext("failed"),
  dismissed: gettext("dismissed"),
};

export const statusWord = (status) => WORDS[status] ?? status;
